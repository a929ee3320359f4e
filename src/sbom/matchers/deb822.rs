//! Stanzas of `Field: value` lines, as Debian's control files have them. It knows no field and
//! judges no value.

/// Fields until the next blank line.
#[derive(Debug, Default)]
pub(crate) struct Stanza<'a> {
    /// Of its first line, from one.
    pub(crate) line: usize,
    fields: Vec<(&'a str, String)>,
    /// The first line that is neither a field nor a continuation of one.
    pub(crate) bad_line: Option<usize>,
}

impl<'a> Stanza<'a> {
    /// The value of the first such field, whatever its case; continuation lines follow after `\n`,
    /// without their first blank.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The values of all such fields, in order.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.fields
            .iter()
            .filter(move |(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.bad_line.is_none()
    }

    fn accept(&mut self, number: usize, line: &'a str) {
        if self.is_empty() {
            self.line = number;
        }
        let continuation = line.strip_prefix([' ', '\t']);
        let field = line
            .split_once(':')
            .filter(|(name, _)| !name.is_empty() && !name.contains(char::is_whitespace));
        match (continuation, self.fields.last_mut(), field) {
            (Some(more), Some((_, value)), _) => {
                value.push('\n');
                value.push_str(more.trim_end());
            }
            (None, _, Some((name, value))) => self.fields.push((name, value.trim().to_owned())),
            _ => self.bad_line = self.bad_line.or(Some(number)),
        }
    }
}

/// The stanzas of a text, one at a time.
pub(crate) fn stanzas(text: &str) -> impl Iterator<Item = Stanza<'_>> {
    let mut lines = text.lines().enumerate();
    std::iter::from_fn(move || {
        let mut stanza = Stanza::default();
        for (index, line) in lines.by_ref() {
            // A line of blanks alone ends a stanza too, and `#` starts a comment.
            match (line.trim().is_empty(), stanza.is_empty()) {
                (true, true) => {}
                (true, false) => break,
                (false, _) if line.starts_with('#') => {}
                (false, _) => stanza.accept(index + 1, line),
            }
        }
        (!stanza.is_empty()).then_some(stanza)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stanzas_have_fields_and_continuations() {
        let text = "\n\nPackage: a\nDescription: short\n long\n .\n\tlonger \nVERSION:1\n \n# comment\nPackage: b\r\nbroken line\n";
        let stanzas: Vec<Stanza<'_>> = stanzas(text).collect();
        assert_eq!(stanzas.len(), 2);
        assert_eq!(stanzas[0].get("description"), Some("short\nlong\n.\nlonger"));
        assert_eq!(
            (stanzas[0].get("Version"), stanzas[0].get("absent"), stanzas[0].line),
            (Some("1"), None, 3)
        );
        assert_eq!((stanzas[1].get("Package"), stanzas[1].bad_line), (Some("b"), Some(12)));
    }

    #[test]
    fn a_continuation_of_nothing_is_a_bad_line() {
        let bad: Vec<_> = stanzas(" x\n").map(|stanza| stanza.bad_line).collect();
        assert_eq!(bad, [Some(1)]);
    }
}
