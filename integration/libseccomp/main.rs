//! Asks libseccomp what filter it would make: a program that reads questions line by line and answers each with a line.
//! It holds no opinion and knows nothing of pinnace.
//!
//! It stands alone, without any crate, because the tests are static programs, which cannot open a shared library: they
//! compile this one file for the C library of the host (see tests/seccomp_oracle).
//!
//! ```text
//! name ARCH NAME                    the call's number on libseccomp's ARCH, -1 if it knows no such name
//! filter DEFAULT OPTIMIZE ARCH...   begins a filter for those architectures alone
//! rule ACTION NAME [INDEX OP A B]...  a rule as libseccomp-golang adds it; no answer
//! end                               "program CODE:JT:JF:K..." or "refused CALL ERRNO"
//! ```

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::fs::File;
use std::io::{BufRead, Read, Seek, Write};
use std::os::fd::{AsRawFd, FromRawFd};

unsafe extern "C" {
    fn dlopen(name: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
    fn memfd_create(name: *const c_char, flags: c_uint) -> c_int;
}

const RTLD_NOW: c_int = 2;
const FLTATR_CTL_NNP: c_int = 3;
const FLTATR_CTL_OPTIMIZE: c_int = 8;
const EEXIST: c_int = 17;

/// `struct scmp_arg_cmp` of seccomp.h.
#[repr(C)]
struct Comparison {
    argument: c_uint,
    operator: c_int,
    a: u64,
    b: u64,
}

type Context = *mut c_void;

/// The calls of libseccomp.
struct Library {
    init: unsafe extern "C" fn(u32) -> Context,
    release: unsafe extern "C" fn(Context),
    arch_add: unsafe extern "C" fn(Context, u32) -> c_int,
    arch_remove: unsafe extern "C" fn(Context, u32) -> c_int,
    arch_native: unsafe extern "C" fn() -> u32,
    attr_set: unsafe extern "C" fn(Context, c_int, u32) -> c_int,
    rule_add_array: unsafe extern "C" fn(Context, u32, c_int, c_uint, *const Comparison) -> c_int,
    resolve: unsafe extern "C" fn(*const c_char) -> c_int,
    resolve_on: unsafe extern "C" fn(u32, *const c_char) -> c_int,
    export_bpf: unsafe extern "C" fn(Context, c_int) -> c_int,
}

impl Library {
    fn open() -> Option<Self> {
        // SAFETY: a C string; libseccomp has no constructor that could interfere.
        let library = unsafe { dlopen(c"libseccomp.so.2".as_ptr(), RTLD_NOW) };
        if library.is_null() {
            return None;
        }
        // SAFETY: each symbol has the type that seccomp.h declares it with.
        unsafe {
            Some(Self {
                init: symbol(library, c"seccomp_init")?,
                release: symbol(library, c"seccomp_release")?,
                arch_add: symbol(library, c"seccomp_arch_add")?,
                arch_remove: symbol(library, c"seccomp_arch_remove")?,
                arch_native: symbol(library, c"seccomp_arch_native")?,
                attr_set: symbol(library, c"seccomp_attr_set")?,
                rule_add_array: symbol(library, c"seccomp_rule_add_array")?,
                resolve: symbol(library, c"seccomp_syscall_resolve_name")?,
                resolve_on: symbol(library, c"seccomp_syscall_resolve_name_arch")?,
                export_bpf: symbol(library, c"seccomp_export_bpf")?,
            })
        }
    }
}

/// A function of an open library.
///
/// # Safety
///
/// `F` is the type of a pointer to that function.
unsafe fn symbol<F: Copy>(library: *mut c_void, name: &CStr) -> Option<F> {
    const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
    // SAFETY: an open library and a C string.
    let symbol = unsafe { dlsym(library, name.as_ptr()) };
    // SAFETY: the sizes are equal, and the caller vouches for the type.
    (!symbol.is_null()).then(|| unsafe { std::mem::transmute_copy(&symbol) })
}

/// A filter in the making; the first refusal is kept.
struct Filter<'a> {
    library: &'a Library,
    context: Context,
    refused: Option<(&'static str, c_int)>,
}

impl Drop for Filter<'_> {
    fn drop(&mut self) {
        // SAFETY: the context is released once.
        unsafe { (self.library.release)(self.context) }
    }
}

impl<'a> Filter<'a> {
    fn new(library: &'a Library, default: u32, optimize: u32, archs: &[u32]) -> Self {
        // SAFETY: no pointers go in.
        let (context, native) = unsafe { ((library.init)(default), (library.arch_native)()) };
        assert!(!context.is_null(), "seccomp_init({default:#x})");
        let mut filter = Self { library, context, refused: None };
        // SAFETY: a live context in each call.
        unsafe {
            for arch in archs.iter().filter(|arch| **arch != native) {
                filter.note("seccomp_arch_add", (library.arch_add)(context, *arch));
            }
            if !archs.contains(&native) {
                filter.note("seccomp_arch_remove", (library.arch_remove)(context, native));
            }
            filter.note("seccomp_attr_set", (library.attr_set)(context, FLTATR_CTL_NNP, 0));
            filter.note("seccomp_attr_set", (library.attr_set)(context, FLTATR_CTL_OPTIMIZE, optimize));
        }
        filter
    }

    fn note(&mut self, call: &'static str, ret: c_int) {
        if ret < 0 && self.refused.is_none() && !(call == "seccomp_arch_add" && ret == -EEXIST) {
            self.refused = Some((call, -ret));
        }
    }

    fn rule(&mut self, action: u32, name: &str, comparisons: &[Comparison]) {
        let name = CString::new(name).expect("a name");
        // SAFETY: a C string.
        let number = unsafe { (self.library.resolve)(name.as_ptr()) };
        let count = c_uint::try_from(comparisons.len()).expect("a few");
        // SAFETY: a live context; pointer and length are those of a slice, which is copied.
        let ret = unsafe {
            (self.library.rule_add_array)(self.context, action, number, count, comparisons.as_ptr())
        };
        self.note("seccomp_rule_add_array", ret);
    }

    fn program(mut self) -> String {
        // SAFETY: a C string; the descriptor is ours alone.
        let mut file = unsafe { File::from_raw_fd(memfd_create(c"bpf".as_ptr(), 0)) };
        if self.refused.is_none() {
            // SAFETY: a live context and an open descriptor.
            let ret = unsafe { (self.library.export_bpf)(self.context, file.as_raw_fd()) };
            self.note("seccomp_export_bpf", ret);
        }
        if let Some((call, errno)) = self.refused {
            return format!("refused {call} {errno}");
        }
        let mut bytes = Vec::new();
        file.rewind().and_then(|()| file.read_to_end(&mut bytes)).expect("the program");
        let instructions = bytes.chunks_exact(8).map(|raw| {
            let code = u16::from_ne_bytes([raw[0], raw[1]]);
            let k = u32::from_ne_bytes([raw[4], raw[5], raw[6], raw[7]]);
            format!(" {code}:{}:{}:{k}", raw[2], raw[3])
        });
        format!("program{}", instructions.collect::<String>())
    }
}

fn number<T: std::str::FromStr>(word: &str) -> T {
    word.parse().unwrap_or_else(|_| panic!("{word:?} is no number"))
}

fn main() {
    let Some(library) = Library::open() else {
        println!("no libseccomp.so.2");
        return;
    };
    println!("ready");
    let mut out = std::io::stdout().lock();
    let mut filter = None;
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("a line");
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["name", arch, name] => {
                let name = CString::new(name).expect("a name");
                // SAFETY: a C string.
                let answer = unsafe { (library.resolve_on)(number(arch), name.as_ptr()) };
                writeln!(out, "{answer}").expect("someone listens");
            }
            ["filter", default, optimize, ref archs @ ..] => {
                let archs: Vec<u32> = archs.iter().copied().map(number).collect();
                filter = Some(Filter::new(&library, number(default), number(optimize), &archs));
            }
            ["rule", action, name, ref comparisons @ ..] => {
                let comparisons: Vec<_> = comparisons
                    .chunks_exact(4)
                    .map(|words| Comparison {
                        argument: number(words[0]),
                        operator: number(words[1]),
                        a: number(words[2]),
                        b: number(words[3]),
                    })
                    .collect();
                filter.as_mut().expect("a filter").rule(number(action), name, &comparisons);
            }
            ["end"] => {
                let answer = filter.take().expect("a filter").program();
                writeln!(out, "{answer}").expect("someone listens");
            }
            _ => panic!("{line:?}"),
        }
        out.flush().expect("someone listens");
    }
}
