//! Text of anybody → Markdown in which it is nothing but text: no link, no mention, no cell.

use super::seen::visible;

/// Text of anybody as code, which Markdown leaves alone: nothing in it is a link, a mention or the
/// end of a cell.
pub fn code(text: &impl ToString) -> String {
    let text = visible(&text.to_string()).replace('|', "\\u{7c}").replace('`', "\\u{60}");
    if text.trim().is_empty() { String::new() } else { format!("`{text}`") }
}

/// Text of anybody between ours: letters that mean something to Markdown are only letters, and
/// nothing becomes a link by itself. What stands between backticks is code, as in all our messages.
pub fn plain(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return escaped(text);
    }
    let mut written = String::new();
    for (at, part) in parts.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| parts.get(before));
        // Two that touch would be read as another one.
        let touches = at > 1 && before.is_some_and(|before| before.is_empty());
        written += &match at % 2 {
            0 => escaped(part),
            _ if touches || part.trim().is_empty() => escaped(&format!("`{part}`")),
            _ => code(part),
        };
    }
    written
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    // What makes a link of an address, a mention of a name, or a cell of a line cannot be escaped
    // otherwise.
    for letter in visible(text)
        .replace("://", "\\u{3a}//")
        .replace("www.", "www\\u{2e}")
        .replace('@', "\\u{40}")
        .replace('|', "\\u{7c}")
        .chars()
    {
        if "\\`*_[]<>&~#!()$:".contains(letter) {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_of_others_is_markdown() {
        for (text, as_code, as_plain) in [
            ("linux/amd64", "`linux/amd64`", "linux/amd64"),
            (
                "a|b\n\n# <img src=x>",
                "`a\\u{7c}b\\n\\n# <img src=x>`",
                "a\\\\u{7c}b\\\\n\\\\n\\# \\<img src=x\\>",
            ),
            ("`x` ``y``", "`\\u{60}x\\u{60} \\u{60}\\u{60}y\\u{60}\\u{60}`", "`x` \\`\\`y\\`\\`"),
            (
                "[c](https://e.example)",
                "`[c](https://e.example)`",
                "\\[c\\]\\(https\\\\u{3a}//e.example\\)",
            ),
            (
                "www.e.example @octo *b* _i_ ~s~ &lt;",
                "`www.e.example @octo *b* _i_ ~s~ &lt;`",
                "www\\\\u{2e}e.example \\\\u{40}octo \\*b\\* \\_i\\_ \\~s\\~ \\&lt;",
            ),
            ("a\\|b \u{202e}", "`a\\\\u{7c}b \\u{202e}`", "a\\\\\\\\u{7c}b \\\\u{202e}"),
            ("![i](x)", "`![i](x)`", "\\!\\[i\\]\\(x\\)"),
            (
                "`GET https://r.io/a|b` of `@octo` is *it*",
                "`\\u{60}GET https://r.io/a\\u{7c}b\\u{60} of \\u{60}@octo\\u{60} is *it*`",
                "`GET https://r.io/a\\u{7c}b` of `@octo` is \\*it\\*",
            ),
            ("`a``b` c`", "`\\u{60}a\\u{60}\\u{60}b\\u{60} c\\u{60}`", "\\`a\\`\\`b\\` c\\`"),
            ("`a``b`", "`\\u{60}a\\u{60}\\u{60}b\\u{60}`", "`a`\\`b\\`"),
        ] {
            assert_eq!((code(&text).as_str(), plain(text).as_str()), (as_code, as_plain));
        }
    }
}
