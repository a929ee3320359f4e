//! Words of commands that people copy. It runs none.

use super::text::is_unseen;

/// A word of a POSIX shell.
pub fn quoted(word: &str) -> String {
    let plain = !word.is_empty()
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:@=+,%".contains(&byte));
    match word {
        _ if plain => word.to_owned(),
        // Nobody can copy what is not seen; bash, ksh and zsh read it in this form.
        _ if word.chars().any(is_unseen) => {
            format!("$'{}'", word.chars().map(escaped).collect::<String>())
        }
        _ => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

fn escaped(letter: char) -> String {
    match letter {
        '\\' | '\'' => format!("\\{letter}"),
        _ if is_unseen(letter) && letter.is_ascii() => format!("\\x{:02x}", u32::from(letter)),
        _ if is_unseen(letter) => format!("\\U{:08x}", u32::from(letter)),
        _ => letter.to_string(),
    }
}
