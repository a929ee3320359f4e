//! A point in time as text, by a format of moment.js in English. Pure; it never asks for the clock
//! or the machine's zone.
//!
//! Formats: <https://momentjs.com/docs/#/displaying/format/>.

use jiff::Zoned;
use jiff::civil::Date;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// The tokens of more than one letter, each group in the order in which moment tries it.
const TOKENS: [&str; 55] = [
    "Hmmss",
    "Hmm",
    "hmmss",
    "hmm",
    "Mo",
    "MMMM",
    "MMM",
    "MM",
    "Do",
    "DDDo",
    "DDDD",
    "DDD",
    "DD",
    "dddd",
    "ddd",
    "dd",
    "do",
    "wo",
    "ww",
    "Wo",
    "WW",
    "Qo",
    "NNNNN",
    "NNNN",
    "NNN",
    "NN",
    "YYYYYY",
    "YYYYY",
    "YYYY",
    "YY",
    "yyyy",
    "yyy",
    "yy",
    "yo",
    "ggggg",
    "gggg",
    "gg",
    "GGGGG",
    "GGGG",
    "GG",
    "hh",
    "HH",
    "kk",
    "mm",
    "ss",
    "SSSSSSSSS",
    "SSSSSSSS",
    "SSSSSSS",
    "SSSSSS",
    "SSSSS",
    "SSSS",
    "SSS",
    "SS",
    "zz",
    "ZZ",
];

/// The time in its zone, by a format; the empty format is ISO 8601.
pub(super) fn format(time: &Zoned, format: &str) -> String {
    let format = match (format, time.offset().seconds()) {
        ("", 0) => "YYYY-MM-DDTHH:mm:ss[Z]",
        ("", _) => "YYYY-MM-DDTHH:mm:ssZ",
        (format, _) => format,
    };
    let mut text = String::new();
    each_token(&expanded(format), |token| match token {
        MomentToken::Literal(literal) => text.push_str(literal),
        MomentToken::Field(field) => {
            text.push_str(&value(time, field).unwrap_or_else(|| field.to_owned()))
        }
    });
    text
}

enum MomentToken<'a> {
    Literal(&'a str),
    Field(&'a str),
}

/// Splits a format: `[literal]`, `\escaped`, the longest token, or one letter.
fn each_token<'a>(format: &'a str, mut take: impl FnMut(MomentToken<'a>)) {
    let mut rest = format;
    while let Some(letter) = rest.chars().next() {
        if let Some(end) = bracketed(rest) {
            take(MomentToken::Literal(&rest[1..end]));
            rest = &rest[end + 1..];
            continue;
        }
        let escaped = letter == '\\' && rest.len() > 1;
        let start = usize::from(escaped);
        let token = TOKENS.iter().find(|token| rest[start..].starts_with(**token)).map_or_else(
            || rest[start..].chars().next().map_or(0, char::len_utf8),
            |token| token.len(),
        );
        let text = &rest[start..start + token];
        take(match text {
            "\\" => MomentToken::Literal(""),
            text if escaped => MomentToken::Literal(text),
            text => MomentToken::Field(text),
        });
        rest = &rest[start + token..];
    }
}

/// Where the bracket that opens a text closes: the last `]` before another `[`.
fn bracketed(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('[')?;
    let end = inside.find('[').unwrap_or(inside.len());
    inside[..end].rfind(']').map(|at| at + 1)
}

/// With `LT`, `LL`, … replaced by what they stand for.
fn expanded(format: &str) -> String {
    let mut text = String::new();
    let mut rest = format;
    while let Some(letter) = rest.chars().next() {
        let stands_for = |names: &[(&'static str, &'static str)]| {
            names.iter().find(|(name, _)| rest.starts_with(name)).copied()
        };
        let kept = match bracketed(rest) {
            Some(end) => end + 1,
            None if letter == '\\' => rest.chars().take(2).map(char::len_utf8).sum(),
            None => match stands_for(&LONG) {
                Some((name, format)) => {
                    text.push_str(format);
                    rest = &rest[name.len()..];
                    continue;
                }
                None => letter.len_utf8(),
            },
        };
        text.push_str(&rest[..kept]);
        rest = &rest[kept..];
    }
    text
}

const LONG: [(&str, &str); 10] = [
    ("LTS", "h:mm:ss A"),
    ("LT", "h:mm A"),
    ("LLLL", "dddd, MMMM D, YYYY h:mm A"),
    ("LLL", "MMMM D, YYYY h:mm A"),
    ("LL", "MMMM D, YYYY"),
    ("L", "MM/DD/YYYY"),
    ("llll", "ddd, MMM D, YYYY h:mm A"),
    ("lll", "MMM D, YYYY h:mm A"),
    ("ll", "MMM D, YYYY"),
    ("l", "M/D/YYYY"),
];

/// One field of a format; `None` for letters that mean nothing.
fn value(time: &Zoned, field: &str) -> Option<String> {
    let date = time.date();
    let (year, month, day) =
        (i32::from(time.year()), i32::from(time.month()), i32::from(time.day()));
    let (hour, minute, second) =
        (i32::from(time.hour()), i32::from(time.minute()), i32::from(time.second()));
    let of_year = i32::from(time.day_of_year());
    let weekday = i32::from(date.weekday().to_sunday_zero_offset());
    let quarter = (month - 1) / 3 + 1;
    let hour12 = if hour % 12 == 0 { 12 } else { hour % 12 };
    let hour24 = if hour == 0 { 24 } else { hour };
    let (week_year, week) = week(date);
    let iso = date.iso_week_date();
    let (iso_year, iso_week) = (i32::from(iso.year()), i32::from(iso.week()));
    let month_name =
        usize::try_from(month - 1).ok().and_then(|at| MONTHS.get(at)).copied().unwrap_or_default();
    let day_name =
        usize::try_from(weekday).ok().and_then(|at| WEEKDAYS.get(at)).copied().unwrap_or_default();
    let half = if hour < 12 { "am" } else { "pm" };
    Some(match field {
        "M" => month.to_string(),
        "MM" => padded(month, 2),
        "Mo" => ordinal(month),
        "MMM" => month_name.chars().take(3).collect(),
        "MMMM" => month_name.to_owned(),
        "Q" => quarter.to_string(),
        "Qo" => ordinal(quarter),
        "D" => day.to_string(),
        "DD" => padded(day, 2),
        "Do" => ordinal(day),
        "DDD" => of_year.to_string(),
        "DDDD" => padded(of_year, 3),
        "DDDo" => ordinal(of_year),
        "d" | "e" => weekday.to_string(),
        "do" => ordinal(weekday),
        "dd" => day_name.chars().take(2).collect(),
        "ddd" => day_name.chars().take(3).collect(),
        "dddd" => day_name.to_owned(),
        "E" => (if weekday == 0 { 7 } else { weekday }).to_string(),
        "w" => week.to_string(),
        "ww" => padded(week, 2),
        "wo" => ordinal(week),
        "W" => iso_week.to_string(),
        "WW" => padded(iso_week, 2),
        "Wo" => ordinal(iso_week),
        "Y" | "YYYY" | "yyyy" => padded(year, 4),
        "YY" => padded(year % 100, 2),
        "YYYYY" => padded(year, 5),
        "YYYYYY" => format!("+{}", padded(year, 6)),
        "y" | "yy" | "yyy" => padded(year, field.len()),
        "yo" => ordinal(year),
        "N" | "NN" | "NNN" | "NNNNN" => "AD".to_owned(),
        "NNNN" => "Anno Domini".to_owned(),
        "gg" => padded(week_year % 100, 2),
        "gggg" | "ggggg" => padded(week_year, field.len()),
        "GG" => padded(iso_year % 100, 2),
        "GGGG" | "GGGGG" => padded(iso_year, field.len()),
        "a" => half.to_owned(),
        "A" => half.to_uppercase(),
        "H" | "HH" => padded(hour, field.len()),
        "h" | "hh" => padded(hour12, field.len()),
        "k" | "kk" => padded(hour24, field.len()),
        "m" | "mm" => padded(minute, field.len()),
        "s" | "ss" => padded(second, field.len()),
        "Hmm" => format!("{hour}{minute:02}"),
        "Hmmss" => format!("{hour}{minute:02}{second:02}"),
        "hmm" => format!("{hour12}{minute:02}"),
        "hmmss" => format!("{hour12}{minute:02}{second:02}"),
        "X" => time.timestamp().as_second().to_string(),
        "x" => time.timestamp().as_millisecond().to_string(),
        "Z" => offset(time, ":"),
        "ZZ" => offset(time, ""),
        "z" | "zz" => time.time_zone().to_offset_info(time.timestamp()).abbreviation().to_owned(),
        fraction if fraction.bytes().all(|byte| byte == b'S') => {
            let digits = format!("{:03}000000", time.millisecond());
            digits[..fraction.len().min(9)].to_owned()
        }
        _ => return None,
    })
}

fn padded(number: i32, width: usize) -> String {
    format!("{number:0width$}")
}

fn ordinal(number: i32) -> String {
    let ending = match (number % 100 / 10, number % 10) {
        (1, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// The week as it is counted in the United States: from Sunday, the first one holds January 1st.
fn week(date: Date) -> (i32, i32) {
    let first_weekday = |year: i16| {
        Date::new(year, 1, 1).map_or(0, |first| i32::from(first.weekday().to_sunday_zero_offset()))
    };
    let (year, of_year) = (date.year(), i32::from(date.day_of_year()));
    let in_next = i32::from(date.days_in_year()) - of_year < first_weekday(year + 1);
    if in_next {
        (i32::from(year) + 1, 1)
    } else {
        (i32::from(year), (of_year + first_weekday(year) - 1) / 7 + 1)
    }
}

fn offset(time: &Zoned, between: &str) -> String {
    let minutes = time.offset().seconds() / 60;
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("{sign}{:02}{between}{:02}", minutes.abs() / 60, minutes.abs() % 60)
}
