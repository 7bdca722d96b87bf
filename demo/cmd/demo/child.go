package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// child is a process that we started. It ends when its standard input does, so also when we are killed.
type child struct {
	name      string
	addresses map[string]string // by name, as it printed them
	process   *os.Process
	stdin     io.Closer
	ended     chan struct{}
}

// start runs a service and waits until it says that it is ready.
func start(path, name string, arguments ...string) (*child, error) {
	command := exec.Command(path, arguments...)
	command.Stderr = os.Stderr
	// In a group of its own, a Ctrl-C in the terminal comes to us alone, and we stop it in order.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	c := &child{name, map[string]string{}, command.Process, stdin, make(chan struct{})}
	ready := make(chan struct{})
	go func() {
		c.read(stdout, ready)
		_ = command.Wait()
		close(c.ended)
	}()
	return c, c.await(ready)
}

// read takes lines such as "checkout http://127.0.0.1:1234" until "ready", and then drops what comes.
func (c *child) read(stdout io.Reader, ready chan<- struct{}) {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		name, address, _ := strings.Cut(lines.Text(), " ")
		if name == "ready" {
			close(ready)
			break
		}
		c.addresses[name] = address
	}
	_, _ = io.Copy(io.Discard, stdout)
}

func (c *child) await(ready <-chan struct{}) error {
	select {
	case <-ready:
		return nil
	case <-c.ended:
		return fmt.Errorf("%s ended at once", c.name)
	case <-time.After(20 * time.Second):
		c.stop()
		return fmt.Errorf("%s does not get ready", c.name)
	}
}

func (c *child) lives() bool {
	select {
	case <-c.ended:
		return false
	default:
		return true
	}
}

// stop ends this process and waits for it; harmless for one that has ended, or never began.
func (c *child) stop() {
	if c == nil {
		return
	}
	_ = c.stdin.Close()
	select {
	case <-c.ended:
	case <-time.After(5 * time.Second):
		_ = c.process.Kill()
		<-c.ended
	}
}
