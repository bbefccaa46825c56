//! The C library's own functions, behind those of this library.
use std::ffi::{c_int, c_uint, c_ulong, c_void, CStr};
use std::sync::atomic::{AtomicPtr, Ordering};

use libc::{iovec, mmsghdr, msghdr, size_t, sockaddr, socklen_t, ssize_t, timespec};

/// Looks a function up behind this library; the process cannot go on without it.
fn resolve(at: &AtomicPtr<c_void>, name: &CStr) -> *mut c_void {
    let found = at.load(Ordering::Relaxed);
    if !found.is_null() {
        return found;
    }
    // SAFETY: the name is a C string; RTLD_NEXT is a handle.
    let found = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
    if found.is_null() {
        // A C library without this function has no program that calls it.
        std::process::abort();
    }
    at.store(found, Ordering::Relaxed);
    found
}

macro_rules! next {
    ($($symbol:literal fn $name:ident($($arg:ident: $type:ty),*) -> $result:ty;)*) => {$(
        #[doc = concat!("The C library's `", $symbol, "`.")]
        ///
        /// # Safety
        /// As the function's: pointers point to what it says.
        pub(crate) unsafe fn $name($($arg: $type),*) -> $result {
            static NEXT: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
            const NAME: &CStr = match CStr::from_bytes_with_nul(concat!($symbol, "\0").as_bytes()) {
                Ok(name) => name,
                Err(_) => panic!("a symbol's name"),
            };
            let found = resolve(&NEXT, NAME);
            // SAFETY: the C library's function of this name has this type.
            let next = unsafe {
                std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($type),*) -> $result>(found)
            };
            // SAFETY: the caller keeps the function's own contract.
            unsafe { next($($arg),*) }
        }
    )*};
}

next! {
    "socket" fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int;
    "bind" fn bind(fd: c_int, addr: *const sockaddr, len: socklen_t) -> c_int;
    "listen" fn listen(fd: c_int, backlog: c_int) -> c_int;
    "accept4" fn accept4(fd: c_int, addr: *mut sockaddr, len: *mut socklen_t, flags: c_int) -> c_int;
    "connect" fn connect(fd: c_int, addr: *const sockaddr, len: socklen_t) -> c_int;
    "getsockname" fn getsockname(fd: c_int, addr: *mut sockaddr, len: *mut socklen_t) -> c_int;
    "getpeername" fn getpeername(fd: c_int, addr: *mut sockaddr, len: *mut socklen_t) -> c_int;
    "getsockopt" fn getsockopt(fd: c_int, level: c_int, name: c_int, value: *mut c_void, len: *mut socklen_t) -> c_int;
    "setsockopt" fn setsockopt(fd: c_int, level: c_int, name: c_int, value: *const c_void, len: socklen_t) -> c_int;
    "shutdown" fn shutdown(fd: c_int, how: c_int) -> c_int;
    "read" fn read(fd: c_int, to: *mut c_void, len: size_t) -> ssize_t;
    "readv" fn readv(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t;
    "recvfrom" fn recvfrom(fd: c_int, to: *mut c_void, len: size_t, flags: c_int, addr: *mut sockaddr, addr_len: *mut socklen_t) -> ssize_t;
    "recvmsg" fn recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t;
    "recvmmsg" fn recvmmsg(fd: c_int, messages: *mut mmsghdr, count: c_uint, flags: c_int, timeout: *mut timespec) -> c_int;
    "write" fn write(fd: c_int, from: *const c_void, len: size_t) -> ssize_t;
    "writev" fn writev(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t;
    "send" fn send(fd: c_int, from: *const c_void, len: size_t, flags: c_int) -> ssize_t;
    "sendto" fn sendto(fd: c_int, from: *const c_void, len: size_t, flags: c_int, addr: *const sockaddr, addr_len: socklen_t) -> ssize_t;
    "sendmsg" fn sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t;
    "sendmmsg" fn sendmmsg(fd: c_int, messages: *mut mmsghdr, count: c_uint, flags: c_int) -> c_int;
    "ioctl" fn ioctl(fd: c_int, request: c_ulong, arg: *mut c_void) -> c_int;
    "close" fn close(fd: c_int) -> c_int;
    "dup" fn dup(fd: c_int) -> c_int;
    "dup2" fn dup2(from: c_int, to: c_int) -> c_int;
    "dup3" fn dup3(from: c_int, to: c_int, flags: c_int) -> c_int;
    "fcntl" fn fcntl(fd: c_int, command: c_int, arg: c_ulong) -> c_int;
    "close_range" fn close_range(first: c_uint, last: c_uint, flags: c_int) -> c_int;
    "closefrom" fn closefrom(first: c_int) -> ();
}
