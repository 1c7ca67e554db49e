//! Names of system calls → numbers. Pure look-up; it knows nothing of profiles.
//!
//! A row is a fixed-size name and six small numbers, so the table is 20 KiB of read-only data without a pointer in it:
//! a slice of `&str` would cost a relocation for each name at every start of the program.

mod calls;

use calls::CALLS;

/// A name as four big-endian words, padded with zeros: words compare as the bytes would, and faster. The longest name
/// (`sched_rr_get_interval_time64`) has 28 bytes.
type Name = [u64; 4];
const NAME: usize = size_of::<Name>();
/// "This architecture has no such call."
const NONE: u16 = u16::MAX;
/// Where ARM's private calls begin, and how a row says so in 16 bits.
const ARM_PRIVATE: u32 = 0xf_0000;
const ARM_PRIVATE_ROW: u16 = 0xf000;

/// The columns of the table.
#[derive(Clone, Copy)]
pub(super) enum Column {
    X86_64,
    X86,
    X32,
    Aarch64,
    Arm,
    Riscv64,
}

/// A row of the table, by position: what the rest of the compiler calls a system call by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CallId(u16);

struct Call {
    name: Name,
    numbers: [u16; 6],
}

impl Call {
    const fn new(name: &str, numbers: [u16; 6]) -> Self {
        match pack(name.as_bytes()) {
            Some(name) => Self { name, numbers },
            None => panic!("a name is too long"),
        }
    }
}

const fn pack(name: &[u8]) -> Option<Name> {
    if name.len() > NAME {
        return None;
    }
    let mut bytes = [0; NAME];
    bytes.split_at_mut(name.len()).0.copy_from_slice(name);
    let (words, _) = bytes.as_chunks::<8>();
    let [a, b, c, d] = words else { return None };
    Some([u64::from_be_bytes(*a), u64::from_be_bytes(*b), u64::from_be_bytes(*c), u64::from_be_bytes(*d)])
}

/// The call of that name, if any architecture has it.
pub(super) fn find(name: &str) -> Option<CallId> {
    if name.ends_with('\0') {
        return None; // it would be taken for the padding
    }
    let name = pack(name.as_bytes())?;
    let row = CALLS.binary_search_by(|call| call.name.cmp(&name)).ok()?;
    u16::try_from(row).ok().map(CallId)
}

impl CallId {
    /// The call's number in `column`.
    pub(super) fn number(self, column: Column) -> Option<u32> {
        let call = &CALLS[usize::from(self.0)];
        let numbers = &call.numbers;
        let number = match column {
            Column::X86_64 => numbers[0],
            Column::X86 => numbers[1],
            Column::X32 => numbers[2],
            Column::Aarch64 => numbers[3],
            Column::Arm => numbers[4],
            Column::Riscv64 => numbers[5],
        };
        match number {
            NONE => None,
            ARM_PRIVATE_ROW.. => Some(ARM_PRIVATE + u32::from(number - ARM_PRIVATE_ROW)),
            number => Some(u32::from(number)),
        }
    }

    /// The call's name.
    pub(super) fn name(self) -> String {
        let words = CALLS[usize::from(self.0)].name.into_iter();
        words.flat_map(u64::to_be_bytes).take_while(|byte| *byte != 0).map(char::from).collect()
    }
}

/// Every name of the table, in order.
pub(super) fn names() -> impl Iterator<Item = String> {
    (0..CALLS.len()).filter_map(|row| u16::try_from(row).ok()).map(|row| CallId(row).name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_found() {
        assert!(CALLS.is_sorted_by(|a, b| a.name < b.name));
        for name in names() {
            assert_eq!(find(&name).map(CallId::name), Some(name));
        }
        for absent in [
            "",
            "reads",
            "zzz",
            "a name that is longer than any system call has ever been",
            "re\0ad",
            "read\0",
        ] {
            assert_eq!(find(absent), None, "{absent:?}");
        }
    }

    /// The numbers of this build's own C library are a second source.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn numbers_agree_with_libc() {
        let read = |name| u64::from(find(name).and_then(|call| call.number(Column::X86_64)).unwrap());
        for (name, number) in [
            ("read", libc::SYS_read),
            ("openat2", libc::SYS_openat2),
            ("clone3", libc::SYS_clone3),
            ("mseal", libc::SYS_mseal),
            ("kexec_file_load", libc::SYS_kexec_file_load),
        ] {
            assert_eq!(read(name), u64::try_from(number).unwrap(), "{name}");
        }
    }

    #[test]
    fn each_architecture_has_its_own_number() {
        let number = |name, column| find(name).unwrap().number(column);
        assert_eq!(number("socketcall", Column::X86), Some(102));
        assert_eq!(number("socketcall", Column::X86_64), None);
        assert_eq!(number("execve", Column::X32), Some(520));
        assert_eq!(number("openat", Column::Aarch64), Some(56));
        assert_eq!(number("set_tls", Column::Arm), Some(0xf_0005));
        assert_eq!(number("riscv_hwprobe", Column::Riscv64), Some(258));
    }
}
