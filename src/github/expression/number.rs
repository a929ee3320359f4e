//! Numbers of workflow expressions, read and written as GitHub does. Pure.

use serde_json::Value;

/// What GitHub compares a value as, where its type is not the other's.
pub(super) fn number(value: &Value) -> f64 {
    match value {
        Value::Null => 0.0,
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::Number(number) => number.as_f64().unwrap_or(f64::NAN),
        Value::String(text) if text.trim().is_empty() => 0.0,
        Value::String(text) => parsed(text.trim()).unwrap_or(f64::NAN),
        Value::Array(_) | Value::Object(_) => f64::NAN,
    }
}

/// A number as GitHub reads it: decimal, with an exponent if need be, or 32 bits in hexadecimal or
/// octal digits, which may be negative. Reference: `ExpressionUtility.ParseNumber` of actions/runner.
pub(super) fn parsed(text: &str) -> Option<f64> {
    let bits = |digits: &str, radix: u32| {
        let are_digits = digits.chars().all(|digit| digit.is_digit(radix));
        let bits = are_digits.then(|| u32::from_str_radix(digits, radix).ok())??;
        Some(f64::from(bits.cast_signed()))
    };
    match (text.strip_prefix("0x"), text.strip_prefix("0o")) {
        (Some(digits), _) => bits(digits, 16),
        (_, Some(digits)) => bits(digits, 8),
        // Rust knows words for what is not a number.
        _ if text.contains(|letter: char| letter.is_alphabetic() && !"eE".contains(letter)) => None,
        _ => text.parse().ok(),
    }
}

/// A number as GitHub writes it, with 15 digits (.NET's format `G15`).
pub(super) fn written(number: f64) -> String {
    let scientific = format!("{number:.14e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let shortest = |text: &str| text.trim_end_matches('0').trim_end_matches('.').to_owned();
    let exponent: i32 = exponent.parse().unwrap_or_default();
    match usize::try_from(14 - exponent) {
        Err(_) => format!("{}E+{exponent:02}", shortest(digits)),
        Ok(_) if exponent < -4 => {
            format!("{}E-{:02}", shortest(digits), exponent.unsigned_abs())
        }
        Ok(_) if number == 0.0 => "0".to_owned(),
        Ok(0) => format!("{number:.0}"),
        Ok(behind) => shortest(&format!("{number:.behind$}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_github_reads_them() {
        for (text, number) in [
            ("0xff", Some(255.0)),
            ("0xFFFFFFFF", Some(-1.0)),
            ("0x00000000000ff", Some(255.0)),
            ("0o17", Some(15.0)),
            ("1e3", Some(1000.0)),
            ("-1.5E-1", Some(-0.15)),
            ("+5", Some(5.0)),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            ("-0x5", None),
            ("0x", None),
            ("0x+5", None),
            ("0x1ffffffff", None),
            ("0XFF", None),
            ("0o9", None),
            ("inf", None),
            ("NaN", None),
            ("1e", None),
            (".", None),
            ("-", None),
        ] {
            assert_eq!(parsed(text), number, "{text}");
        }
    }

    #[test]
    fn numbers_are_written_as_github_writes_them() {
        for (number, text) in [
            (255.0, "255"),
            (1.5, "1.5"),
            (-0.0, "0"),
            (-0.25, "-0.25"),
            (100.0, "100"),
            (1e14, "100000000000000"),
            (1e15, "1E+15"),
            (-1.5e300, "-1.5E+300"),
            (0.1, "0.1"),
            (0.000_01, "1E-05"),
            (0.000_1, "0.0001"),
            (1_234_567_890.123_456_7, "1234567890.12346"),
        ] {
            assert_eq!(written(number), text);
        }
    }
}
