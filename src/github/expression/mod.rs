//! Expressions of workflows, `${{ … }}`, evaluated as far as what they name is known. Pure; what is
//! not known is never taken for empty.
//!
//! Specification: <https://docs.github.com/en/actions/reference/workflows-and-actions/expressions>.

mod number;

use serde_json::{Map, Value};

use self::number::{number, parsed, written};

/// Why an expression has no value here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unvalued {
    /// What it names is known in a workflow alone.
    #[error("`{0}` is not known here")]
    Unknown(String),
    #[error("`{text}` is not an expression: {why}")]
    Wrong { text: String, why: String },
}

/// How deep parentheses and operators may nest, and how long an expression may be.
const DEPTH: usize = 50;
const TOKENS: usize = 1000;

/// A text with every `${{ … }}` in it replaced by its value.
pub fn expanded(text: &str, contexts: &Map<String, Value>) -> Result<String, Unvalued> {
    let (mut rest, mut expanded) = (text, String::new());
    while let Some((before, behind)) = rest.split_once("${{") {
        let end = end_of(behind).ok_or_else(|| Unvalued::Wrong {
            text: text.to_owned(),
            why: "it has no `}}`".to_owned(),
        })?;
        expanded.push_str(before);
        expanded.push_str(&shown(&evaluated(&behind[..end], contexts)?));
        rest = &behind[end + 2..];
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// Where the `}}` is that ends an expression; one in a text of it does not.
fn end_of(text: &str) -> Option<usize> {
    let mut quoted = false;
    text.char_indices().find_map(|(at, letter)| {
        quoted ^= letter == '\'';
        (!quoted && text[at..].starts_with("}}")).then_some(at)
    })
}

/// The value of one expression, without the braces.
pub fn evaluated(text: &str, contexts: &Map<String, Value>) -> Result<Value, Unvalued> {
    let wrong = |why: String| Unvalued::Wrong { text: text.trim().to_owned(), why };
    let tokens = tokens(text).map_err(wrong)?;
    let mut parser = Parser { tokens: &tokens, at: 0, depth: 0 };
    let expression = parser.expression().map_err(wrong)?;
    match parser.peek() {
        None => expression.value(contexts).map_err(|stopped| match stopped {
            Stopped::Unknown(name) => Unvalued::Unknown(name),
            Stopped::Wrong(why) => wrong(why),
        }),
        Some(token) => Err(wrong(format!("`{}` is not expected", token.shown()))),
    }
}

/// A value as it stands in a text.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), written),
        Value::String(text) => text.clone(),
        Value::Array(_) => "Array".to_owned(),
        Value::Object(_) => "Object".to_owned(),
    }
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64().is_some_and(|number| number != 0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

/// As GitHub compares: texts without regard to case, values of different types as numbers.
fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::String(one), Value::String(other)) => one.to_lowercase() == other.to_lowercase(),
        (Value::Array(_) | Value::Object(_), _) | (_, Value::Array(_) | Value::Object(_)) => false,
        _ => (number(one) - number(other)).abs() == 0.0,
    }
}

#[derive(Debug, Clone, PartialEq)]
enum ExpressionToken {
    Literal(Value),
    Name(String),
    Sign(&'static str),
}

impl ExpressionToken {
    fn shown(&self) -> String {
        match self {
            Self::Literal(value) => value.to_string(),
            Self::Name(name) => name.clone(),
            Self::Sign(sign) => (*sign).to_owned(),
        }
    }
}

/// What ends a number; a `-` does not, as in `1e-3`.
const ENDS: [char; 11] = ['(', ')', '[', ']', ',', '!', '>', '<', '=', '&', '|'];

/// Longer ones first.
const SIGNS: [&str; 16] =
    ["||", "&&", "==", "!=", "<=", ">=", "<", ">", "!", "(", ")", "[", "]", ".", ",", "*"];

fn tokens(text: &str) -> Result<Vec<ExpressionToken>, String> {
    let (mut rest, mut tokens) = (text.trim_start(), Vec::new());
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' => {
                let (value, length) = quoted(rest).ok_or("a text has no end")?;
                tokens.push(ExpressionToken::Literal(value.into()));
                length
            }
            'a'..='z' | 'A'..='Z' | '_' => {
                let length = rest
                    .find(|letter: char| {
                        !letter.is_ascii_alphanumeric() && letter != '_' && letter != '-'
                    })
                    .unwrap_or(rest.len());
                let is_property = tokens.last() == Some(&ExpressionToken::Sign("."));
                tokens.push(match &rest[..length] {
                    name if is_property => ExpressionToken::Name(name.to_owned()),
                    "true" => ExpressionToken::Literal(true.into()),
                    "false" => ExpressionToken::Literal(false.into()),
                    "null" => ExpressionToken::Literal(Value::Null),
                    name => ExpressionToken::Name(name.to_owned()),
                });
                length
            }
            '0'..='9' | '-' | '+' | '.' if first != '.' || begins_a_value(tokens.last()) => {
                let length = rest
                    .find(|letter: char| letter.is_whitespace() || ENDS.contains(&letter))
                    .unwrap_or(rest.len());
                // JSON holds no infinity.
                let value = parsed(&rest[..length])
                    .filter(|value| value.is_finite())
                    .ok_or_else(|| format!("`{}` is not a number", &rest[..length]))?;
                // Whole numbers are written without a point.
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "it was just seen to be whole and small"
                )]
                let value = if value.fract() == 0.0 && value.abs() < 9e15 {
                    Value::from(value as i64)
                } else {
                    Value::from(value)
                };
                tokens.push(ExpressionToken::Literal(value));
                length
            }
            other => {
                let sign = SIGNS
                    .into_iter()
                    .find(|sign| rest.starts_with(sign))
                    .ok_or_else(|| format!("`{other}` is not expected"))?;
                tokens.push(ExpressionToken::Sign(sign));
                sign.len()
            }
        };
        if tokens.len() > TOKENS {
            return Err("it is too long".to_owned());
        }
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

/// Whether a value comes behind this token, so that `.5` is a number there.
fn begins_a_value(last: Option<&ExpressionToken>) -> bool {
    match last {
        None => true,
        Some(ExpressionToken::Sign(sign)) => ![")", "]", ".", "*"].contains(sign),
        Some(ExpressionToken::Literal(_) | ExpressionToken::Name(_)) => false,
    }
}

/// `'it''s'` and how long it is.
fn quoted(text: &str) -> Option<(String, usize)> {
    let (mut value, mut letters) = (String::new(), text.char_indices().skip(1).peekable());
    while let Some((at, letter)) = letters.next() {
        match (letter, letters.peek()) {
            ('\'', Some((_, '\''))) => {
                value.push('\'');
                letters.next();
            }
            ('\'', _) => return Some((value, at + 1)),
            (letter, _) => value.push(letter),
        }
    }
    None
}

enum Expression {
    Literal(Value),
    /// A context, such as `github`.
    Context(String),
    Property(Box<Self>, Box<Self>),
    Call(String, Vec<Self>),
    Not(Box<Self>),
    Binary(&'static str, Box<Self>, Box<Self>),
}

/// Operators by how tightly they bind, the loosest first.
const BINARY: [&[&str]; 4] = [&["||"], &["&&"], &["==", "!="], &["<=", ">=", "<", ">"]];

struct Parser<'a> {
    tokens: &'a [ExpressionToken],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&ExpressionToken> {
        self.tokens.get(self.at)
    }

    fn takes(&mut self, signs: &[&'static str]) -> Option<&'static str> {
        let Some(ExpressionToken::Sign(sign)) = self.peek() else { return None };
        let taken = signs.iter().find(|known| *known == sign).copied();
        self.at += usize::from(taken.is_some());
        taken
    }

    fn expect(&mut self, sign: &'static str) -> Result<(), String> {
        self.takes(&[sign]).map(drop).ok_or_else(|| format!("a `{sign}` is missing"))
    }

    fn expression(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err("it nests too deeply".to_owned());
        }
        let parsed = self.binary(0);
        self.depth -= 1;
        parsed
    }

    fn binary(&mut self, level: usize) -> Result<Expression, String> {
        let Some(signs) = BINARY.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        while let Some(sign) = self.takes(signs) {
            left = Expression::Binary(sign, Box::new(left), Box::new(self.binary(level + 1)?));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expression, String> {
        let mut count = 0_usize;
        while self.takes(&["!"]).is_some() {
            count += 1;
        }
        let operand = self.postfix()?;
        // Two are not none: they make a boolean.
        let inner =
            if count == 0 { return Ok(operand) } else { Expression::Not(Box::new(operand)) };
        Ok(if count % 2 == 1 { inner } else { Expression::Not(Box::new(inner)) })
    }

    fn postfix(&mut self) -> Result<Expression, String> {
        let mut base = self.primary()?;
        loop {
            let property = match self.takes(&[".", "["]) {
                Some(".") => match self.peek() {
                    Some(ExpressionToken::Name(name)) => {
                        let name = Expression::Literal(name.clone().into());
                        self.at += 1;
                        name
                    }
                    _ => return Err("a name is missing behind `.`".to_owned()),
                },
                Some(_) => {
                    let property = self.expression()?;
                    self.expect("]")?;
                    property
                }
                None => return Ok(base),
            };
            base = Expression::Property(Box::new(base), Box::new(property));
        }
    }

    fn primary(&mut self) -> Result<Expression, String> {
        let Some(token) = self.peek().cloned() else { return Err("it ends early".to_owned()) };
        self.at += 1;
        match token {
            ExpressionToken::Literal(value) => Ok(Expression::Literal(value)),
            ExpressionToken::Name(name) if self.takes(&["("]).is_some() => {
                let mut arguments = Vec::new();
                while self.takes(&[")"]).is_none() {
                    if !arguments.is_empty() {
                        self.expect(",")?;
                    }
                    arguments.push(self.expression()?);
                }
                Ok(Expression::Call(name, arguments))
            }
            ExpressionToken::Name(name) => Ok(Expression::Context(name)),
            ExpressionToken::Sign("(") => {
                let inner = self.expression()?;
                self.expect(")")?;
                Ok(inner)
            }
            ExpressionToken::Sign(sign) => Err(format!("`{sign}` is not expected")),
        }
    }
}

enum Stopped {
    Unknown(String),
    Wrong(String),
}

impl Expression {
    fn value(&self, contexts: &Map<String, Value>) -> Result<Value, Stopped> {
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::Context(name) => {
                let known = contexts.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
                known.map(|(_, value)| value.clone()).ok_or_else(|| Stopped::Unknown(name.clone()))
            }
            Self::Property(base, name) => {
                let (base_value, name_value) = (base.value(contexts), name.value(contexts)?);
                let unknown = || Stopped::Unknown(self.path(contexts));
                match (base_value, &name_value) {
                    (Ok(Value::Object(members)), Value::String(name)) => {
                        let found = members
                            .iter()
                            .find(|(known, _)| known.eq_ignore_ascii_case(name))
                            .map(|(_, value)| value.clone());
                        // What a context lacks here, a run may have.
                        found.map_or_else(
                            || {
                                if matches!(**base, Self::Call(..)) {
                                    Ok(Value::Null)
                                } else {
                                    Err(unknown())
                                }
                            },
                            Ok,
                        )
                    }
                    (Ok(Value::Array(items)), Value::Number(at)) => {
                        let at = at.as_u64().and_then(|at| usize::try_from(at).ok());
                        Ok(at.and_then(|at| items.get(at)).cloned().unwrap_or_default())
                    }
                    (Ok(_), _) => Ok(Value::Null),
                    (Err(Stopped::Unknown(_)), _) => Err(unknown()),
                    (Err(wrong), _) => Err(wrong),
                }
            }
            Self::Not(operand) => Ok((!is_true(&operand.value(contexts)?)).into()),
            Self::Binary("||", left, right) => match left.value(contexts)? {
                left if is_true(&left) => Ok(left),
                _ => right.value(contexts),
            },
            Self::Binary("&&", left, right) => match left.value(contexts)? {
                left if is_true(&left) => right.value(contexts),
                left => Ok(left),
            },
            Self::Binary(sign, left, right) => {
                Ok(compared(sign, &left.value(contexts)?, &right.value(contexts)?).into())
            }
            Self::Call(name, arguments) => {
                let values = arguments
                    .iter()
                    .map(|argument| argument.value(contexts))
                    .collect::<Result<Vec<_>, _>>()?;
                called(name, &values)
            }
        }
    }

    /// What a person would call it: `secrets.TOKEN`.
    fn path(&self, contexts: &Map<String, Value>) -> String {
        match self {
            Self::Context(name) => name.clone(),
            Self::Property(base, name) => {
                format!(
                    "{}.{}",
                    base.path(contexts),
                    name.value(contexts).map_or_else(|_| "…".to_owned(), |name| shown(&name))
                )
            }
            _ => "(…)".to_owned(),
        }
    }
}

fn compared(sign: &str, left: &Value, right: &Value) -> bool {
    let order = match (left, right) {
        (Value::String(left), Value::String(right)) => {
            Some(left.to_lowercase().cmp(&right.to_lowercase()))
        }
        _ => number(left).partial_cmp(&number(right)),
    };
    match sign {
        "==" => equal(left, right),
        "!=" => !equal(left, right),
        "<" => order.is_some_and(std::cmp::Ordering::is_lt),
        "<=" => order.is_some_and(std::cmp::Ordering::is_le),
        ">" => order.is_some_and(std::cmp::Ordering::is_gt),
        _ => order.is_some_and(std::cmp::Ordering::is_ge),
    }
}

fn called(name: &str, arguments: &[Value]) -> Result<Value, Stopped> {
    let lower = |value: &Value| shown(value).to_lowercase();
    let wrong = |why: &str| Stopped::Wrong(format!("`{name}` {why}"));
    match (name.to_lowercase().as_str(), arguments) {
        ("contains", [Value::Array(items), item]) => {
            Ok(items.iter().any(|known| equal(known, item)).into())
        }
        ("contains", [text, part]) => Ok(lower(text).contains(&lower(part)).into()),
        ("startswith", [text, part]) => Ok(lower(text).starts_with(&lower(part)).into()),
        ("endswith", [text, part]) => Ok(lower(text).ends_with(&lower(part)).into()),
        ("format", [text, values @ ..]) => {
            formatted(&shown(text), values).ok_or_else(|| wrong("names a value that is not given"))
        }
        ("join", [Value::Array(items), separator @ ..]) => {
            let separator = separator.first().map_or_else(|| ",".to_owned(), shown);
            Ok(items.iter().map(shown).collect::<Vec<_>>().join(&separator).into())
        }
        ("join", [text, ..]) => Ok(shown(text).into()),
        ("tojson", [value]) => serde_json::to_string_pretty(value)
            .map(Value::from)
            .map_err(|error| wrong(&error.to_string())),
        ("fromjson", [text]) => serde_json::from_str(&shown(text))
            .map_err(|error| wrong(&format!("reads no JSON: {error}"))),
        ("success" | "always", []) => Ok(true.into()),
        ("failure" | "cancelled", []) => Ok(false.into()),
        ("hashfiles", _) => Err(Stopped::Unknown("hashFiles(…)".to_owned())),
        _ => Err(wrong("is not a function, or takes other values")),
    }
}

/// `{0}` is the first value, `{{` a brace.
fn formatted(text: &str, values: &[Value]) -> Option<Value> {
    let (mut rest, mut made) = (text, String::new());
    while let Some(at) = rest.find(['{', '}']) {
        made.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix(brace) {
            made.push_str(brace);
            rest = behind;
            continue;
        }
        let (number, behind) = rest.split_once('}').filter(|_| brace == "{")?;
        made.push_str(&shown(values.get(number.parse::<usize>().ok()?)?));
        rest = behind;
    }
    made.push_str(rest);
    Some(made.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn contexts() -> Map<String, Value> {
        let Value::Object(contexts) = json!({
            "github": { "ref": "refs/tags/v1", "repository": "Octo/App", "event_name": "push", "event": { "number": 7 } },
            "matrix": { "arch": "arm64", "list": ["a", 2, true] },
            "env": { "IMAGE": "ghcr.io/octo/app", "EMPTY": "" },
        }) else {
            unreachable!()
        };
        contexts
    }

    #[test]
    fn values_are_those_of_github() {
        for (text, expected) in [
            ("github.repository", json!("Octo/App")),
            ("GitHub['Event'].number", json!(7)),
            ("matrix.list[1]", json!(2)),
            ("matrix.list[9]", json!(null)),
            ("'it''s'", json!("it's")),
            ("-1.5", json!(-1.5)),
            ("0xff", json!(255)),
            ("1e3", json!(1000)),
            ("-5", json!(-5)),
            (".5", json!(0.5)),
            ("!.5 || -.5", json!(-0.5)),
            ("matrix.list[.5e1]", json!(null)),
            ("'0x1F' == 31 && '1e2' == 100", json!(true)),
            ("'inf' == 0 || 'nan' == 0", json!(false)),
            ("fromJSON('{\"true\":1}').true", json!(1)),
            ("'A' == 'a' && 'x' || 'y'", json!("x")),
            ("env.EMPTY || 'other'", json!("other")),
            (
                "matrix.arch == 'arm64' && 'ubuntu-24.04-arm' || 'ubuntu-latest'",
                json!("ubuntu-24.04-arm"),
            ),
            ("!github.ref", json!(false)),
            ("!!github.ref", json!(true)),
            ("1 == '1'", json!(true)),
            ("null == ''", json!(true)),
            ("'abc' == 0", json!(false)),
            ("1 < 2 && 2 <= 2 && !(3 > 4)", json!(true)),
            ("startsWith(github.ref, 'REFS/tags/')", json!(true)),
            ("endsWith(github.ref, 'v2')", json!(false)),
            ("contains(matrix.list, 'A')", json!(true)),
            ("contains('Hello', 'ELL')", json!(true)),
            ("format('{0}-{1} {{x}}', 'a', 2)", json!("a-2 {x}")),
            ("join(matrix.list, '+')", json!("a+2+true")),
            ("fromJSON('[\"amd64\"]')[0]", json!("amd64")),
            ("fromJSON('{}').nothing", json!(null)),
            ("toJSON(matrix.list)", json!("[\n  \"a\",\n  2,\n  true\n]")),
            ("always() && !failure()", json!(true)),
            // What is not known need not be, where it is not asked.
            ("true || secrets.X", json!(true)),
            ("false && needs.a.outputs.b", json!(false)),
        ] {
            assert_eq!(evaluated(text, &contexts()), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_known_is_named_and_never_empty() {
        for (text, name) in [
            ("secrets.TOKEN", "secrets.TOKEN"),
            ("steps.version.outputs.TAG", "steps.version.outputs.TAG"),
            ("github.actor", "github.actor"),
            ("secrets['A'] || 'b'", "secrets.A"),
            ("format('{0}', vars.X)", "vars.X"),
            ("hashFiles('**/go.sum')", "hashFiles(…)"),
        ] {
            assert_eq!(
                evaluated(text, &contexts()),
                Err(Unvalued::Unknown(name.to_owned())),
                "{text}"
            );
        }
        for (text, why) in [
            ("", "ends early"),
            ("'a", "no end"),
            ("(1", "a `)` is missing"),
            ("1 2", "`2` is not expected"),
            ("a.", "a name is missing"),
            ("system('x')", "is not a function"),
            ("format('{1}', 'a')", "is not given"),
            ("1 @ 2", "`@` is not expected"),
            ("12ab", "`12ab` is not a number"),
            ("1e999", "is not a number"),
            ("1-2", "`1-2` is not a number"),
            ("'a'.5", "a name is missing behind `.`"),
        ] {
            assert!(evaluated(text, &contexts()).unwrap_err().to_string().contains(why), "{text}");
        }
        let deep = format!("{}1{}", "(".repeat(400), ")".repeat(400));
        assert!(evaluated(&deep, &contexts()).unwrap_err().to_string().contains("too deeply"));
        assert!(
            evaluated(&format!("a{}", ".b".repeat(100_000)), &contexts())
                .unwrap_err()
                .to_string()
                .contains("too long")
        );
    }

    #[test]
    fn texts_are_expanded_whole() {
        let expand = |text: &str| expanded(text, &contexts());
        assert_eq!(
            expand("a ${{ env.IMAGE }}:${{ 'x}}y' }} b").unwrap(),
            "a ghcr.io/octo/app:x}}y b"
        );
        assert_eq!(
            expand("type=raw,enable={{is_default_branch}}").unwrap(),
            "type=raw,enable={{is_default_branch}}"
        );
        assert_eq!(expand("${{ null }}${{ true }}${{ matrix.list }}").unwrap(), "trueArray");
        assert_eq!(expand("${{ 0xff }} ${{ 1e20 }} ${{ 1.50 }}").unwrap(), "255 1E+20 1.5");
        assert!(expand("${{ env.IMAGE").unwrap_err().to_string().contains("no `}}`"));
        assert_eq!(expand("v${{ secrets.X }}"), Err(Unvalued::Unknown("secrets.X".to_owned())));
    }
}
