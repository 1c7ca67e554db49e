//! What is said of files that the kernel refuses.

use proptest::prelude::*;

use super::*;

/// An ELF program with one PT_INTERP segment, 64 or 32 bit, of either byte order.
fn elf(machine: u16, wide: bool, little: bool, interpreter: &str) -> Vec<u8> {
    let mut file = vec![0_u8; 256];
    let put = |file: &mut Vec<u8>, offset: usize, length: usize, number: u64| {
        let bytes = number.to_le_bytes();
        for (index, byte) in bytes[..length].iter().enumerate() {
            file[if little { offset + index } else { offset + length - 1 - index }] = *byte;
        }
    };
    file[..6].copy_from_slice(&[
        0x7f,
        b'E',
        b'L',
        b'F',
        if wide { 2 } else { 1 },
        if little { 1 } else { 2 },
    ]);
    put(&mut file, 18, 2, machine.into());
    let at = 64;
    let (phoff, phent, phnum, size) = if wide { (32, 54, 56, 56) } else { (28, 42, 44, 32) };
    put(&mut file, phoff, if wide { 8 } else { 4 }, at);
    put(&mut file, phent, 2, size);
    put(&mut file, phnum, 2, 2);
    // The first segment is another one: PT_LOAD.
    put(&mut file, 64, 4, 1);
    let second = 64 + usize::try_from(size).unwrap();
    put(&mut file, second, 4, 3);
    let (offset_at, size_at, width) = if wide { (8, 32, 8) } else { (4, 16, 4) };
    put(&mut file, second + offset_at, width, 200);
    put(&mut file, second + size_at, width, u64::try_from(interpreter.len() + 1).unwrap());
    file[200..200 + interpreter.len()].copy_from_slice(interpreter.as_bytes());
    file
}

fn said(file: &[u8], there: &[&str]) -> Option<String> {
    let read = |offset: u64, buffer: &mut [u8]| {
        let bytes = usize::try_from(offset).ok().and_then(|at| file.get(at..at.checked_add(buffer.len())?));
        bytes.map(|bytes| buffer.copy_from_slice(bytes)).is_some()
    };
    of_content(&file[..file.len().min(LINE)], read, |path| there.iter().any(|name| Path::new(name) == path))
}

#[test]
fn scripts() {
    let cases: [(&str, Option<&str>); 8] = [
        ("#!/bin/sh\necho\n", None),
        ("#! /bin/sh -e", None),
        ("#!/bin/sh\r\necho\r\n", Some("CR LF")),
        ("#!/bin/bash\n", Some("its interpreter /bin/bash is not in the container")),
        ("#!\n", Some("names no interpreter")),
        ("#!  \t", Some("names no interpreter")),
        ("echo hello\n", Some("neither an ELF program nor a script")),
        ("", Some("it is empty")),
    ];
    for (text, hint) in cases {
        let said = said(text.as_bytes(), &["/bin/sh"]);
        let as_hinted = hint.is_none_or(|hint| said.as_ref().is_some_and(|said| said.contains(hint)));
        assert!(as_hinted && hint.is_some() == said.is_some(), "{text:?}: {said:?}");
    }
}

#[test]
fn programs() {
    let own = Machine::OWN.number;
    let loader = "/lib64/ld-linux-x86-64.so.2";
    assert_eq!(said(&elf(own, true, true, loader), &[loader]), None);
    let missing = said(&elf(own, true, true, loader), &[]).unwrap();
    assert!(
        missing.contains("ELF interpreter /lib64/ld-linux-x86-64.so.2 is not in the container"),
        "{missing}"
    );
    for (machine, wide, little, name) in [
        (40, false, true, "arm"),
        (22, true, false, "s390x"),
        (21, true, true, "ppc64le"),
        (3, false, true, "i386"),
    ] {
        let said = said(&elf(machine, wide, little, loader), &[]).unwrap();
        assert!(said.starts_with(&format!("it is built for {name}, this machine is ")), "{said}");
    }
}

#[test]
fn both_classes_and_byte_orders_are_read() {
    for (wide, little) in [(true, true), (true, false), (false, true), (false, false)] {
        let file = elf(7, wide, little, "/lib/ld.so");
        let parsed = Elf::parse(&file).unwrap();
        assert_eq!(parsed.machine.number, 7);
        let read = |offset: u64, buffer: &mut [u8]| {
            let at = usize::try_from(offset).unwrap();
            buffer.copy_from_slice(&file[at..at + buffer.len()]);
            true
        };
        assert_eq!(parsed.interpreter(read), Some("/lib/ld.so".into()), "wide {wide} little {little}");
    }
}

proptest! {
    /// Whatever the file holds, it is looked at without a panic and in bounded steps.
    #[test]
    fn any_bytes(mut file in proptest::collection::vec(any::<u8>(), 0..300), magic: bool, class in 0_u8..4) {
        if magic && file.len() > 20 {
            file[..5].copy_from_slice(&[0x7f, b'E', b'L', b'F', class]);
            file[18..20].copy_from_slice(&Machine::OWN.number.to_le_bytes());
        }
        let _ = said(&file, &[]);
    }
}
