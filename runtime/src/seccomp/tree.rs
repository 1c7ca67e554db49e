//! The numbers of one architecture as spans that get the same outcome, and the binary search over them. Pure.
//!
//! Docker's profile has about 420 numbers on x86_64, but some 90 spans: seven comparisons find any of them, where a list
//! of numbers takes hundreds.

use super::assemble::{Assembler, Label};
use super::enosys::Ground;

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The filter returns this.
    Answer(u32),
    /// The arguments decide: a chain of rules, by its position in the list of all chains.
    Ask(u16),
}

/// All numbers from `first` up to the next span's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    first: u32,
    outcome: Outcome,
}

/// Lays `calls` (sorted by number, each once) over the `ground`; neighbours with the same outcome become one span.
pub(super) fn spans(ground: &Ground, calls: &[(u32, Outcome)]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::with_capacity(calls.len() / 2 + ground.len());
    let mut add = |first: u32, outcome: Outcome| {
        if spans.last().is_none_or(|last| last.outcome != outcome) {
            spans.push(Span { first, outcome });
        }
    };
    let mut calls = calls.iter().peekable();
    for (at, (first, answer)) in ground.iter().enumerate() {
        let last = ground.get(at + 1).map_or(u32::MAX, |(next, _)| next - 1);
        let mut free = Some(*first);
        while let Some((number, outcome)) = calls.next_if(|(number, _)| *number <= last) {
            if let Some(from) = free.filter(|from| from < number) {
                add(from, Outcome::Answer(*answer));
            }
            add(*number, *outcome);
            free = number.checked_add(1).filter(|next| *next <= last);
        }
        if let Some(from) = free {
            add(from, Outcome::Answer(*answer));
        }
    }
    spans
}

/// Whether every number of `spans` is allowed.
pub(super) fn passes(spans: &[Span]) -> bool {
    spans.iter().all(|span| span.outcome == Outcome::Answer(libc::SECCOMP_RET_ALLOW))
}

/// The code that finds the span of the number in the accumulator.
pub(super) fn search(asm: &mut Assembler<'_>, spans: &[Span]) -> Label {
    match spans {
        [] => asm.answer(super::action::BAD_ARCH),
        [only] => asm.outcome(only.outcome),
        // A lone number in the middle of something else takes one comparison instead of two.
        [before, lone, after] if before.outcome == after.outcome && after.first - lone.first == 1 => {
            let around = asm.outcome(before.outcome);
            let found = asm.outcome(lone.outcome);
            asm.if_equal(lone.first, found, around)
        }
        spans => {
            let (low, high) = spans.split_at(spans.len() / 2);
            let above = search(asm, high);
            let below = search(asm, low);
            asm.if_at_least(high[0].first, above, below)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Outcome::{Answer, Ask};

    fn laid(ground: &[(u32, u32)], calls: &[(u32, Outcome)]) -> Vec<(u32, Outcome)> {
        spans(&ground.to_vec(), calls).into_iter().map(|span| (span.first, span.outcome)).collect()
    }

    #[test]
    fn neighbours_with_one_outcome_are_one_span() {
        assert_eq!(laid(&[(0, 9)], &[]), [(0, Answer(9))]);
        assert_eq!(
            laid(&[(0, 9)], &[(0, Answer(1)), (1, Answer(1)), (2, Ask(0)), (5, Answer(1))]),
            [(0, Answer(1)), (2, Ask(0)), (3, Answer(9)), (5, Answer(1)), (6, Answer(9))]
        );
    }

    #[test]
    fn the_ground_shows_between_calls_and_at_its_own_borders() {
        assert_eq!(
            laid(&[(0, 9), (4, 8), (6, 9)], &[(3, Answer(1)), (4, Answer(1)), (7, Answer(2))]),
            [(0, Answer(9)), (3, Answer(1)), (5, Answer(8)), (6, Answer(9)), (7, Answer(2)), (8, Answer(9))]
        );
    }

    #[test]
    fn the_last_number_is_a_number() {
        assert_eq!(
            laid(&[(0, 9)], &[(u32::MAX - 1, Answer(1)), (u32::MAX, Answer(2))]),
            [(0, Answer(9)), (u32::MAX - 1, Answer(1)), (u32::MAX, Answer(2))]
        );
    }
}
