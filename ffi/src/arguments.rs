//! What callers hand in, checked before it is used.

use tidegate_core::{Error, ErrorKind};

/// Bytes of the caller's: `ptr` is not looked at when `len` is 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tg_str {
    /// The first byte.
    pub ptr: *const std::ffi::c_char,
    /// How many.
    pub len: usize,
}

/// More bytes than this in one argument are a mistake.
const MAX_BYTES: usize = 1 << 30;

/// An error that says what is wrong with an argument.
pub fn invalid(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, what)
}

/// The caller's bytes.
///
/// # Safety
/// `ptr` is readable for `len` bytes, or `len` is 0.
pub unsafe fn bytes<'a>(name: &str, ptr: *const u8, len: usize) -> Result<&'a [u8], Error> {
    if len == 0 {
        return Ok(&[]);
    }
    if ptr.is_null() || len > MAX_BYTES {
        return Err(invalid(format!("{name}: NULL, or over 1 GiB, with a length of {len}")));
    }
    // SAFETY: by contract.
    Ok(unsafe { std::slice::from_raw_parts(ptr, len) })
}

/// The caller's text.
///
/// # Safety
/// As [`bytes`].
pub unsafe fn text<'a>(name: &str, text: tg_str) -> Result<&'a str, Error> {
    // SAFETY: by contract.
    let bytes = unsafe { bytes(name, text.ptr.cast(), text.len) }?;
    std::str::from_utf8(bytes).map_err(|at| invalid(format!("{name}: not UTF-8 from byte {} on", at.valid_up_to())))
}

/// Whether a pointer is neither NULL nor misaligned. One comparison: rotated by the bits that must be clear, a misaligned
/// pointer is a huge number, and what is before NULL is the largest.
#[inline(always)]
pub fn is_usable<T>(pointer: *const T) -> bool {
    let clear = const { align_of::<T>().trailing_zeros() };
    pointer.addr().rotate_right(clear).wrapping_sub(1) < usize::MAX >> clear
}

/// The caller's pointer, when it may be one: not NULL, and aligned.
///
/// # Safety
/// A pointer that is neither NULL nor misaligned points to a T.
pub unsafe fn reference<'a, T>(name: &str, pointer: *const T) -> Result<&'a T, Error> {
    if !is_usable(pointer) {
        return Err(invalid(format!("{name}: NULL or misaligned")));
    }
    // SAFETY: by contract.
    Ok(unsafe { &*pointer })
}

/// Where an answer goes.
///
/// # Safety
/// As [`reference`], and writable.
pub unsafe fn out<'a, T>(name: &str, pointer: *mut T) -> Result<&'a mut T, Error> {
    if !is_usable(pointer) {
        return Err(invalid(format!("{name}: NULL or misaligned")));
    }
    // SAFETY: by contract.
    Ok(unsafe { &mut *pointer })
}

/// A struct that begins with its size: one that is larger than ours must have nothing set beyond what we know.
///
/// # Safety
/// The pointer is NULL or points to as many bytes as the struct says, a `u32` size first.
pub unsafe fn sized<'a, T>(name: &str, pointer: *const T) -> Result<&'a T, Error> {
    // SAFETY: by contract; the size is its first field.
    let (known, size) = unsafe {
        reference(name, pointer)?;
        (size_of::<T>(), *pointer.cast::<u32>() as usize)
    };
    if size < known || size > 1 << 20 {
        let what =
            format!("{name}: struct_size is {size}; this library's is {known}; initialise it by its _INIT macro");
        return Err(invalid(what));
    }
    // SAFETY: the struct says that it has so many bytes.
    let beyond = unsafe { std::slice::from_raw_parts(pointer.cast::<u8>().add(known), size - known) };
    if beyond.iter().any(|&byte| byte != 0) {
        let what = format!("{name}: a field is set that this version of the library does not know");
        return Err(Error::new(ErrorKind::Unsupported, what));
    }
    // SAFETY: by contract.
    Ok(unsafe { &*pointer })
}

/// Reserved bytes must be zero, so that they can mean something later.
pub fn reserved(name: &str, bytes: &[u8]) -> Result<(), Error> {
    // All of them at once: looking for the first one that is set would be a comparison for each.
    if bytes.iter().fold(0, |seen, byte| seen | byte) == 0 {
        return Ok(());
    }
    let what = format!("{name}: reserved bytes are set; this version of the library does not know what they mean");
    Err(Error::new(ErrorKind::Unsupported, what))
}
