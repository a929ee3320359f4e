//! Bytes → how random they look, and whether somebody wrote them to be replaced. It knows no
//! format.

/// Words that stand in examples, in small letters.
const WORDS: [&[u8]; 15] = [
    b"example",
    b"placehold",
    b"xxxx",
    b"dummy",
    b"changeme",
    b"change_me",
    b"change-me",
    b"redacted",
    b"replace",
    b"insert",
    b"sample",
    b"notreal",
    b"password",
    b"youraccess",
    b"your_",
];

/// Runs as long hardly ever come by chance.
const RUN: usize = 6;
const FEWEST_LETTERS: usize = 7;
const SHORTEST_TAIL: usize = 16;

/// Bits a byte, by Shannon.
pub(super) fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in bytes {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let whole = f64::from(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    let share = |count: &u32| {
        let part = f64::from(*count) / whole;
        -part * part.log2()
    };
    counts.iter().filter(|count| **count > 0).map(share).sum()
}

pub(super) fn is_placeholder(value: &[u8]) -> bool {
    let lower = value.to_ascii_lowercase();
    let has = |word: &[u8]| memchr::memmem::find(&lower, word).is_some();
    // Without a prefix that every such token has.
    let cut = lower.iter().rposition(|byte| b"_-.".contains(byte)).map_or(0, |at| at + 1);
    let tail = lower.get(cut..).filter(|tail| tail.len() >= SHORTEST_TAIL).unwrap_or(&lower);
    WORDS.iter().any(|word| has(word))
        || has_few_letters(tail)
        || has_run(&lower)
        || is_repeated(tail)
        || is_reference(value)
}

fn has_few_letters(lower: &[u8]) -> bool {
    let mut letters = lower.to_vec();
    letters.sort_unstable();
    letters.dedup();
    letters.len() < FEWEST_LETTERS.min(lower.len())
}

/// `aaaaaa`, `123456`, `fedcba`.
fn has_run(lower: &[u8]) -> bool {
    let step = |pair: &[u8]| match pair {
        [a, b] => i16::from(*b) - i16::from(*a),
        _ => i16::MAX,
    };
    let steps: Vec<i16> = lower.windows(2).map(step).collect();
    steps.windows(RUN - 1).any(|run| {
        let first = run.first().copied().unwrap_or(i16::MAX);
        (-1..=1).contains(&first) && run.iter().all(|step| *step == first)
    })
}

/// Twice the same and more, such as `abcd1234abcd1234`.
fn is_repeated(lower: &[u8]) -> bool {
    (1..=lower.len() / 2).any(|period| {
        let ahead = lower.get(period..).unwrap_or_default();
        lower.iter().zip(ahead).all(|(a, b)| a == b)
    })
}

/// A variable, or what a template fills in.
fn is_reference(value: &[u8]) -> bool {
    let begins = |start: &[u8]| value.starts_with(start);
    begins(b"$") || begins(b"{{") || begins(b"<") || begins(b"%(") || begins(b"@")
}
