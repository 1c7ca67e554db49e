//! A fuzzer of the tests' own, for whatever reads what others wrote: mutates inputs, those first that the target answered
//! in a new way, and keeps what makes it panic. Stable Rust, nothing to install. It must never be in the binary.
//!
//! A test `fuzz` beside each reader calls [`run`]. `make fuzz TIME=600` gives each of them so many seconds, else they have
//! a moment. Seeds and what once failed stand in runtime/fuzz/NAME and are tried first, each time.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

/// As many inputs as are kept to mutate.
const POOL: usize = 4000;
/// Longer inputs are cut.
const LONGEST: usize = 64 << 10;

/// Words that readers look for, and numbers at the edges.
const WORDS: [&str; 48] = [
    "0",
    "-1",
    "1",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e9",
    "0.5",
    "-0",
    "0x10",
    "007",
    "max",
    "null",
    "true",
    "\"\"",
    "[]",
    "{}",
    "\\u0000",
    "\\ud800",
    "é",
    "/",
    "..",
    "//",
    "/proc/self/fd/3",
    "a=b",
    "=",
    ",",
    ":",
    " ",
    "\n",
    "\t",
    "\0",
    "%",
    "+",
    "@",
    "\\040",
    "rbind",
    "mode=755",
    "uid=0",
    "size=1g",
    "idmap=uids=0-1-2",
    "rro",
    "SCMP_ACT_ERRNO",
];

/// Hands inputs to `check` until the time is over. It says in a word how the input was answered; a panic fails the test.
pub(crate) fn run(name: &str, seeds: &[&[u8]], check: impl Fn(&[u8]) -> String) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(name);
    let time = std::env::var("PINNACE_FUZZ").ok().and_then(|text| text.parse().ok());
    let mut fuzzer = Fuzzer {
        name,
        random: Random(0x9e37_79b9_7f4a_7c15 ^ seed_of_today(time.is_some())),
        pool: Vec::new(),
        answers: HashSet::new(),
        check,
    };
    for file in std::fs::read_dir(&corpus).into_iter().flatten().flatten() {
        fuzzer.feed(std::fs::read(file.path()).unwrap());
    }
    for seed in seeds {
        fuzzer.feed(seed.to_vec());
    }
    assert!(!fuzzer.pool.is_empty(), "{name}: no seed in {}", corpus.display());
    let end = Instant::now() + time.map_or(Duration::from_millis(200), Duration::from_secs);
    let mut count = 0_u64;
    while Instant::now() < end {
        let input = fuzzer.mutated();
        fuzzer.feed(input);
        count += 1;
    }
    if time.is_some() {
        println!("{name}: {count} inputs, {} answers", fuzzer.answers.len());
    }
}

/// Short runs try the same each time, long ones something new.
fn seed_of_today(long: bool) -> u64 {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs());
    if long { now } else { 0 }
}

struct Fuzzer<'a, C> {
    name: &'a str,
    random: Random,
    pool: Vec<Vec<u8>>,
    answers: HashSet<String>,
    check: C,
}

impl<C: Fn(&[u8]) -> String> Fuzzer<'_, C> {
    fn feed(&mut self, input: Vec<u8>) {
        let answer = catch_unwind(AssertUnwindSafe(|| (self.check)(&input))).unwrap_or_else(|_| {
            let file = self.keep(&input);
            panic!("{}: panics on what is now in {}", self.name, file.display());
        });
        // Numbers and quotations differ from input to input; what is around them is the way that was taken.
        let way: String = answer.chars().filter(|c| c.is_ascii_alphabetic() || *c == ' ').take(120).collect();
        if self.answers.insert(way) || self.pool.len() < 8 {
            if self.pool.len() < POOL {
                self.pool.push(input);
            } else {
                let place = self.random.below(POOL);
                self.pool[place] = input;
            }
        }
    }

    fn keep(&self, input: &[u8]) -> PathBuf {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(self.name);
        std::fs::create_dir_all(&directory).unwrap();
        let sum = input.iter().fold(0_u64, |sum, byte| sum.rotate_left(7) ^ u64::from(*byte));
        let file = directory.join(format!("crash-{sum:016x}"));
        std::fs::write(&file, input).unwrap();
        file
    }

    fn mutated(&mut self) -> Vec<u8> {
        let Self { random, pool, .. } = self;
        let mut input = random.of(pool).clone();
        let other = random.of(pool).clone();
        if random.below(2) == 0
            && let (Ok(mut json), Ok(donor)) =
                (serde_json::from_slice(&input), serde_json::from_slice(&other))
        {
            for _ in 0..=random.below(3) {
                change_json(random, &mut json, &donor);
            }
            return json.to_string().into_bytes();
        }
        for _ in 0..=random.below(4) {
            change_bytes(random, &mut input, &other);
        }
        input.truncate(LONGEST);
        input
    }
}

fn change_bytes(random: &mut Random, input: &mut Vec<u8>, other: &[u8]) {
    let at = random.below(input.len() + 1);
    let end = (at + random.below(16)).min(input.len());
    match random.below(7) {
        0 if at < input.len() => input[at] ^= 1 << random.below(8),
        1 => drop(input.drain(at..end)),
        2 => {
            let again = input[at..end].to_vec();
            input.splice(at..at, again);
        }
        3 if !other.is_empty() => {
            let from = random.below(other.len());
            let to = (from + random.below(64)).min(other.len());
            input.splice(at..end, other[from..to].iter().copied());
        }
        4 if at < input.len() => input[at] = u8::try_from(random.below(256)).unwrap(),
        _ => {
            let word = WORDS[random.below(WORDS.len())];
            input.splice(at..if random.below(2) == 0 { at } else { end }, word.bytes());
        }
    }
}

/// Changes one value somewhere in a document.
fn change_json(random: &mut Random, json: &mut Value, donor: &Value) {
    let place = somewhere(random, json);
    *place = match random.below(6) {
        0 => Value::Null,
        1 => somewhere(random, &mut donor.clone()).clone(),
        2 => serde_json::from_str(WORDS[random.below(22)]).unwrap_or(Value::Null),
        3 => Value::String(WORDS[random.below(WORDS.len())].to_owned()),
        4 => match place.take() {
            Value::Array(mut items) if !items.is_empty() => {
                let item = random.of(&items).clone();
                items.insert(random.below(items.len()), item);
                Value::Array(items)
            }
            Value::Object(mut fields) if !fields.is_empty() => {
                let name = fields.keys().nth(random.below(fields.len())).unwrap().clone();
                fields.remove(&name);
                Value::Object(fields)
            }
            Value::String(text) => Value::String(text.repeat(random.below(3))),
            other => other,
        },
        _ => match place.take() {
            // A field that the other one has.
            Value::Object(mut fields) => {
                if let Value::Object(more) = somewhere(random, &mut donor.clone()) {
                    fields.extend(std::mem::replace(more, Map::new()));
                }
                Value::Object(fields)
            }
            Value::Number(number) => {
                let number = number.as_i64().unwrap_or_default();
                Value::from(number.wrapping_add([1, -1, 1 << 31, i64::MIN][random.below(4)]))
            }
            other => Value::Array(vec![other]),
        },
    };
}

fn somewhere<'v>(random: &mut Random, json: &'v mut Value) -> &'v mut Value {
    let inside = match json {
        Value::Array(items) => items.len(),
        Value::Object(fields) => fields.len(),
        _ => 0,
    };
    if inside == 0 || random.below(6) == 0 {
        return json;
    }
    let index = random.below(inside);
    let one = match json {
        Value::Array(items) => items.get_mut(index),
        Value::Object(fields) => fields.values_mut().nth(index),
        _ => None,
    };
    somewhere(random, one.unwrap())
}

/// Marsaglia's xorshift, 64 bits.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % bound
    }

    fn of<'l, T>(&mut self, list: &'l [T]) -> &'l T {
        &list[self.below(list.len())]
    }
}
