//! CSV as the readers of Docker's actions take it: quotes around fields, lines for records, `#` at
//! the start of a line for a comment. Pure; it never guesses at a quote that is not closed.

/// What a text may contain beside plain CSV.
#[derive(Debug, Clone, Copy, Default)]
pub struct CsvDialect {
    /// A quote inside a field is text; without, it is an error.
    pub loose_quotes: bool,
    /// A line that begins with `#` is a comment.
    pub comments: bool,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CsvError {
    #[error("a quote opens inside field {field} of record {record}")]
    Opening { record: usize, field: usize },
    #[error("text follows the closing quote of field {field} of record {record}")]
    Closing { record: usize, field: usize },
    #[error("a quote is not closed")]
    NotClosed,
}

/// The records of a text; empty lines are none. The first line's end (`\r\n`, `\n` or `\r`) is
/// every line's.
pub fn read(text: &str, dialect: CsvDialect) -> Result<Vec<Vec<String>>, CsvError> {
    let line_end = line_end(text);
    let mut reader = CsvReader::default();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let after = &rest[letter.len_utf8()..];
        let line_ends = rest.strip_prefix(line_end);
        rest = after;
        match letter {
            '"' if reader.quoted => {
                let closes =
                    after.is_empty() || after.starts_with([',']) || after.starts_with(line_end);
                if let Some(after) = after.strip_prefix('"') {
                    rest = after;
                    reader.field.push('"');
                } else if closes || (dialect.comments && after.starts_with('#')) {
                    (reader.quoted, reader.was_quoted) = (false, true);
                } else if dialect.loose_quotes {
                    (reader.quoted, reader.was_quoted) = (false, true);
                    reader.field = format!("\"{}\"", reader.field);
                } else {
                    let (record, field) = reader.position();
                    return Err(CsvError::Closing { record, field });
                }
            }
            _ if reader.quoted => reader.field.push(letter),
            _ if line_ends.is_some() => {
                rest = line_ends.unwrap_or_default();
                reader.end_record();
            }
            _ if reader.comment => {}
            '"' if reader.field.is_empty() => reader.quoted = true,
            '"' if !dialect.loose_quotes => {
                let (record, field) = reader.position();
                return Err(CsvError::Opening { record, field });
            }
            '#' if dialect.comments && reader.is_at_start() => reader.comment = true,
            ',' => reader.end_field(),
            _ => reader.field.push(letter),
        }
    }
    if reader.quoted {
        return Err(CsvError::NotClosed);
    }
    reader.end_record();
    Ok(reader.records)
}

fn line_end(text: &str) -> &'static str {
    match text.find(['\r', '\n']) {
        Some(at) if text[at..].starts_with("\r\n") => "\r\n",
        Some(at) if text[at..].starts_with('\r') => "\r",
        _ => "\n",
    }
}

#[derive(Default)]
struct CsvReader {
    records: Vec<Vec<String>>,
    record: Vec<String>,
    field: String,
    quoted: bool,
    was_quoted: bool,
    comment: bool,
}

impl CsvReader {
    fn is_at_start(&self) -> bool {
        self.record.is_empty() && self.field.is_empty() && !self.was_quoted
    }

    /// Counted from one.
    fn position(&self) -> (usize, usize) {
        (self.records.len() + 1, self.record.len() + 1)
    }

    fn end_field(&mut self) {
        self.record.push(std::mem::take(&mut self.field));
        self.was_quoted = false;
    }

    fn end_record(&mut self) {
        self.comment = false;
        if !self.is_at_start() {
            self.end_field();
            self.records.push(std::mem::take(&mut self.record));
        }
    }
}
