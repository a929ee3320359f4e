//! Texts of others, fit for a message: no line break, no backtick, no control letter. It shortens
//! what is longer than anybody reads.

pub(super) fn plain(text: &str) -> String {
    let mut letters = text.chars();
    let cut: String = letters.by_ref().take(120).flat_map(char::escape_debug).collect();
    let cut = cut.replace('`', "\\u{60}");
    if letters.next().is_some() { format!("{cut}…") } else { cut }
}
