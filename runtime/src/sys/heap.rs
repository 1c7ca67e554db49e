//! The heap of the command: for a process with one thread that lives some milliseconds. Small blocks lie close together
//! and are taken by adding up, so that little memory is touched, which a clone and an exit have to pay for again. It
//! never moves what others hold, and a second thread waits instead of spoiling it.
//!
//! musl's own heap asks the kernel for nearly every small thing at start (0.6 ms of a start); dlmalloc's takes a mutex of
//! pthread for each block and spreads them over twice the pages (0.2 ms).

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicBool, Ordering};

/// Blocks of up to so many bytes come in steps of [`STEP`]; larger ones in powers of two.
const FINE: usize = 256;
const STEP: usize = 16;
/// Blocks above so many bytes are the kernel's own business.
const COARSE: usize = 64 << 10;
/// Sixteen steps, then 512 to 64 KiB.
const CLASSES: usize = FINE / STEP + 8;
/// What is asked of the kernel at once. What is not touched costs nothing.
const CHUNK: usize = 1 << 20;
const PAGE: usize = 4096;
/// What is asked for in one call instead of by a fault for each page.
const AHEAD: usize = 32 << 10;

/// Where a given back block points to the next one.
type Free = Option<NonNull<u8>>;

struct Chunks {
    /// What has never been given out lies between these two, zeroed.
    next: *mut u8,
    left: usize,
    /// How much of what is left has its pages already.
    ready: usize,
    free: [Free; CLASSES],
}

/// The heap; one a program, as its `#[global_allocator]`.
pub struct Heap {
    busy: AtomicBool,
    chunks: UnsafeCell<Chunks>,
}

// SAFETY: `chunks` is reached by `Heap::with` alone, which lets one caller in at a time.
unsafe impl Sync for Heap {}

impl Default for Heap {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Heap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Heap")
    }
}

impl Heap {
    /// An empty heap.
    pub const fn new() -> Self {
        let chunks = Chunks { next: null_mut(), left: 0, ready: 0, free: [None; CLASSES] };
        Self { busy: AtomicBool::new(false), chunks: UnsafeCell::new(chunks) }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Chunks) -> T) -> T {
        while self.busy.swap(true, Ordering::Acquire) {
            std::thread::yield_now();
        }
        // SAFETY: whoever set `busy` is alone here until it is cleared, and `work` does not allocate.
        let result = work(unsafe { &mut *self.chunks.get() });
        self.busy.store(false, Ordering::Release);
        result
    }
}

/// The class of a block, and the bytes that it really has. None: too large, or aligned as nobody does.
fn class(layout: Layout) -> Option<(usize, usize)> {
    let size = layout.size().max(1);
    if layout.align() > STEP || size > COARSE {
        return None;
    }
    if size <= FINE {
        let steps = size.div_ceil(STEP);
        return Some((steps - 1, steps * STEP));
    }
    let size = size.next_power_of_two();
    let above = usize::try_from(size.trailing_zeros() - FINE.trailing_zeros()).ok()?;
    Some((FINE / STEP - 1 + above, size))
}

impl Chunks {
    /// A block, and whether it is known to be zeroed.
    fn take(&mut self, class: usize, size: usize) -> Option<(NonNull<u8>, bool)> {
        if let Some(block) = self.free[class] {
            // SAFETY: a given back block holds its successor, is aligned for it, and belongs to nobody else.
            self.free[class] = unsafe { block.cast::<Free>().read() };
            return Some((block, false));
        }
        if self.left < size {
            // What is left of the old chunk was never touched.
            self.next = map(CHUNK)?.as_ptr();
            self.left = CHUNK;
            self.ready = 0;
        }
        self.prepare(size);
        let block = NonNull::new(self.next)?;
        self.left -= size;
        self.ready = self.ready.saturating_sub(size);
        // SAFETY: `left` bytes follow `next` in one mapping, and `size` is no more than that.
        self.next = unsafe { self.next.add(size) };
        Some((block, true))
    }

    fn give_back(&mut self, class: usize, block: NonNull<u8>) {
        // SAFETY: the caller gives up the block, which is at least 16 bytes long and so aligned.
        unsafe { block.cast::<Free>().write(self.free[class]) };
        self.free[class] = Some(block);
    }

    /// Has the pages of the next so many bytes put in place, and some more.
    fn prepare(&mut self, size: usize) {
        if size <= self.ready || size > AHEAD || SPARING.load(Ordering::Relaxed) {
            return;
        }
        let end = self.next.wrapping_add(self.ready);
        let gap = end.addr().next_multiple_of(PAGE) - end.addr();
        let length = AHEAD.min(self.left.saturating_sub(self.ready + gap));
        // SAFETY: the range lies in the chunk, which ends with a page, and nothing in it is changed. Where there is no
        // MADV_POPULATE_WRITE (Linux 5.14), each page comes when it is touched.
        unsafe { libc::madvise(end.wrapping_add(gap).cast(), length, libc::MADV_POPULATE_WRITE) };
        self.ready += gap + length;
    }

    /// Makes the block that was given out last longer where it lies.
    fn extend(&mut self, block: *mut u8, old: usize, new: usize) -> bool {
        let more = new - old;
        if block.wrapping_add(old) != self.next || self.left < more {
            return false;
        }
        self.prepare(more);
        self.left -= more;
        self.ready = self.ready.saturating_sub(more);
        self.next = self.next.wrapping_add(more);
        true
    }
}

fn pages(layout: Layout) -> Option<usize> {
    if layout.align() > PAGE {
        return None;
    }
    layout.size().max(1).checked_next_multiple_of(PAGE)
}

/// Pages come when they are touched.
static SPARING: AtomicBool = AtomicBool::new(false);

/// From now on memory counts more than time: for a child, which pays with the container's memory limit.
pub fn spare() {
    SPARING.store(true, Ordering::Relaxed);
}

/// Has the pages of so much of the main thread's stack put in place that will be needed anyway, by one call instead of a
/// fault for each. The kernel has set aside 128 KiB for it at the least (setup_arg_pages in fs/exec.c).
pub fn expect_stack() {
    const EXPECTED: usize = 96 << 10;
    let here = 0u8;
    let top = std::ptr::from_ref(&here).cast_mut();
    let from = top.wrapping_sub(top.addr() % PAGE).wrapping_sub(EXPECTED);
    // SAFETY: no byte changes; where the range is not the stack's or the kernel is older than 5.14, nothing happens.
    unsafe { libc::madvise(from.cast(), EXPECTED, libc::MADV_POPULATE_WRITE) };
}

/// Zeroed memory from the kernel.
fn map(bytes: usize) -> Option<NonNull<u8>> {
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new anonymous mapping at a place that the kernel chooses.
    let place = unsafe { libc::mmap(null_mut(), bytes, protection, flags, -1, 0) };
    if place == libc::MAP_FAILED { None } else { NonNull::new(place.cast()) }
}

// SAFETY: a block is given to one owner at a time (a class's list or the rest of a chunk hands each out once), is as long
// as its class, and stays where it is; blocks are aligned to 16 as chunks and all sizes are, whole mappings to a page.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let block = match class(layout) {
            Some((class, size)) => self.with(|chunks| chunks.take(class, size)).map(|(block, _)| block),
            None => pages(layout).and_then(map),
        };
        block.map_or(null_mut(), NonNull::as_ptr)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some((class, size)) = class(layout) else {
            return pages(layout).and_then(map).map_or(null_mut(), NonNull::as_ptr);
        };
        match self.with(|chunks| chunks.take(class, size)) {
            Some((block, true)) => block.as_ptr(),
            Some((block, false)) => {
                // SAFETY: the block is ours and at least that long.
                unsafe { block.as_ptr().write_bytes(0, layout.size()) };
                block.as_ptr()
            }
            None => null_mut(),
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(block) = NonNull::new(block) else { return };
        match (class(layout), pages(layout)) {
            (Some((class, _)), _) => self.with(|chunks| chunks.give_back(class, block)),
            (None, Some(bytes)) => {
                // SAFETY: what has no class is a mapping of its own of so many bytes.
                unsafe { libc::munmap(block.as_ptr().cast(), bytes) };
            }
            (None, None) => {}
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Ok(wanted) = Layout::from_size_align(size, layout.align()) else { return null_mut() };
        if let (Some((old, there)), Some((new, need))) = (class(layout), class(wanted))
            && (old == new || need > there && self.with(|chunks| chunks.extend(block, there, need)))
        {
            return block;
        }
        // SAFETY: as the caller has promised; both blocks are at least as long as what is copied.
        unsafe {
            let place = self.alloc(wanted);
            if !place.is_null() {
                place.copy_from_nonoverlapping(block, layout.size().min(size));
                self.dealloc(block, layout);
            }
            place
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_hold_what_they_are_for() {
        let mut last = (0, 0);
        for size in 0..=COARSE {
            let (class, bytes) = class(Layout::from_size_align(size, 8).unwrap()).unwrap();
            assert!(bytes >= size && bytes % STEP == 0 && class < CLASSES, "{size}: {class} {bytes}");
            assert!((class, bytes) >= last, "{size}");
            last = (class, bytes);
        }
        assert_eq!(last, (CLASSES - 1, COARSE));
        assert_eq!(class(Layout::from_size_align(COARSE + 1, 8).unwrap()), None);
        assert_eq!(class(Layout::from_size_align(8, 32).unwrap()), None);
    }

    /// What a block of a number is filled with.
    fn mark(number: usize) -> u8 {
        u8::try_from(number % 251).unwrap()
    }

    #[test]
    fn blocks_never_overlap_and_keep_what_is_in_them() {
        let heap = Heap::new();
        let sizes = [1, 7, 16, 17, 100, 255, 256, 257, 1000, 5000, COARSE, COARSE + 1, 300_000];
        let mut held: Vec<(*mut u8, Layout, u8)> = Vec::new();
        for number in 0..4000usize {
            let layout = Layout::from_size_align(sizes[number * 7 % sizes.len()], 1 << (number % 5)).unwrap();
            // SAFETY: each block is filled over its length, checked, and given back with its own layout.
            unsafe {
                let zeroed = number % 3 == 0;
                let block = if zeroed { heap.alloc_zeroed(layout) } else { heap.alloc(layout) };
                assert_eq!(block.addr() % layout.align(), 0);
                let bytes = std::slice::from_raw_parts_mut(block, layout.size());
                assert!(!zeroed || bytes.iter().all(|byte| *byte == 0), "{number}");
                bytes.fill(mark(number));
                held.push((block, layout, mark(number)));
                if number % 5 == 0 {
                    let (block, layout, mark) = held.swap_remove(number % held.len());
                    let size = layout.size() * 2 + 3;
                    let block = heap.realloc(block, layout, size);
                    let old = std::slice::from_raw_parts(block, layout.size());
                    assert!(old.iter().all(|byte| *byte == mark), "{number}");
                    block.write_bytes(mark, size);
                    held.push((block, Layout::from_size_align(size, layout.align()).unwrap(), mark));
                }
                if number % 2 == 0 {
                    let (block, layout, mark) = held.swap_remove(number * 13 % held.len());
                    let bytes = std::slice::from_raw_parts(block, layout.size());
                    assert!(bytes.iter().all(|byte| *byte == mark), "{number}");
                    heap.dealloc(block, layout);
                }
            }
        }
    }

    #[test]
    fn threads_wait_for_each_other() {
        static HEAP: Heap = Heap::new();
        let work = |mark: u8| {
            for _ in 0..20_000 {
                let layout = Layout::from_size_align(usize::from(mark) * 8, 8).unwrap();
                // SAFETY: filled, checked and given back by its one owner.
                unsafe {
                    let block = HEAP.alloc(layout);
                    block.write_bytes(mark, layout.size());
                    assert_eq!(block.read(), mark);
                    assert_eq!(block.add(layout.size() - 1).read(), mark);
                    HEAP.dealloc(block, layout);
                }
            }
        };
        std::thread::scope(|scope| {
            for mark in 1..=4 {
                scope.spawn(move || work(mark));
            }
        });
    }
}
