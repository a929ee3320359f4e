//! How texts write lists, switches, ages and tables, how people count, and how a text of anybody is shown
//! as text alone. It never knows which input it reads.

pub mod age;
pub mod csv;
pub mod lists;
pub mod markdown;
pub mod seen;

/// `1 tag`, `2 tags`, `2 repositories`.
pub fn plural(count: usize, word: &str) -> String {
    match (count, word.strip_suffix('y')) {
        (1, _) => format!("1 {word}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        (_, None) => format!("{count} {word}s"),
    }
}
