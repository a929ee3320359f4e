//! Handlebars templates of tags, labels and annotations → text, with the values and dates
//! docker/metadata-action offers. Pure.
//!
//! Reference: <https://github.com/docker/metadata-action#global-expressions>, <https://handlebarsjs.com/guide/expressions.html>.

use std::sync::{Arc, Mutex};

use handlebars::template::{Parameter, TemplateElement};
use handlebars::{
    BlockContext, Context, Handlebars, Helper, HelperDef, HelperResult, Output, RenderContext,
    RenderError, RenderErrorReason, ScopedJson, Template,
};
use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde_json::{Value, json};

use super::{MetadataError, moment};

/// Renders templates for one run.
pub(super) struct Expressions {
    globals: Value,
    global: Handlebars<'static>,
    plain: Handlebars<'static>,
    warnings: Arc<Mutex<Vec<String>>>,
}

impl Expressions {
    /// `globals` holds what every template may name.
    pub(super) fn new(globals: Value, now: Timestamp, commit_date: Timestamp) -> Self {
        let warnings = Arc::new(Mutex::new(Vec::new()));
        let mut global = engine();
        for (name, time) in [("date", now), ("commit_date", commit_date)] {
            global.register_helper(
                name,
                Box::new(DateHelper { name, time, warnings: Arc::clone(&warnings) }),
            );
        }
        let mut plain = engine();
        for name in ["prerelease", "build"] {
            plain.register_helper(name, Box::new(ListHelper(name)));
        }
        Self { globals, global, plain, warnings }
    }

    /// With every global value and the dates.
    pub(super) fn global(&self, template: &str) -> Result<String, MetadataError> {
        render(&self.global, template, &self.globals)
    }

    /// With the dates only.
    pub(super) fn dates(&self, template: &str) -> Result<String, MetadataError> {
        render(&self.global, template, &json!({}))
    }

    /// With the fields of a version only.
    pub(super) fn fields(&self, template: &str, fields: &Value) -> Result<String, MetadataError> {
        render(&self.plain, template, fields)
    }

    /// What was said while rendering, once.
    pub(super) fn take_warnings(&self) -> Vec<String> {
        self.warnings.lock().map(|mut warnings| std::mem::take(&mut *warnings)).unwrap_or_default()
    }
}

/// Handlebars with the helpers of JavaScript's, and no more.
fn engine() -> Handlebars<'static> {
    let mut engine = Handlebars::new();
    for name in ["eq", "ne", "gt", "gte", "lt", "lte", "and", "or", "not", "len", "raw"] {
        engine.unregister_helper(name);
    }
    engine.register_escape_fn(escaped);
    engine.register_helper("blockHelperMissing", Box::new(BlockOfValue));
    engine
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#x27;"),
            '`' => safe.push_str("&#x60;"),
            '=' => safe.push_str("&#x3D;"),
            other => safe.push(other),
        }
    }
    safe
}

const UNREADABLE: &str =
    "its braces make no expression; a `}}` or the end of a block such as `{{/if}}` may be missing";

fn render(engine: &Handlebars<'_>, template: &str, data: &Value) -> Result<String, MetadataError> {
    if !template.contains("{{") {
        return Ok(template.to_owned());
    }
    let wrong = |why: String| MetadataError::Template { template: template.to_owned(), why };
    let template = &with_inverse_blocks(&with_plain_backslashes(template));
    if has_a_brace_too_many(template) {
        return Err(wrong("an expression ends with a brace too many".to_owned()));
    }
    // What is left of braces was meant as an expression.
    let compiled = Template::compile(template).map_err(|_| wrong(UNREADABLE.to_owned()))?;
    if compiled
        .elements
        .iter()
        .any(|element| matches!(element, TemplateElement::RawString(text) if text.contains("{{")))
        && !template.contains("\\{{")
    {
        return Err(wrong(UNREADABLE.to_owned()));
    }
    engine.render_template(template, data).map_err(|error| wrong(reason(&error)))
}

/// `{{x}}}` and `{{{x}}}}` are slips, which the engine would take as text.
fn has_a_brace_too_many(template: &str) -> bool {
    template.split("{{").skip(1).any(|expression| {
        let closing = if expression.starts_with('{') { "}}}}" } else { "}}}" };
        expression.find(closing).is_some_and(|at| !expression[..at].ends_with('~'))
    })
}

/// `{{^name}}…{{/name}}`, which the engine does not read, as a block whose other branch it is.
fn with_inverse_blocks(template: &str) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{^") {
        text.push_str(before);
        let name: String = after
            .trim_start()
            .chars()
            .take_while(|letter| {
                letter.is_alphanumeric() || matches!(letter, '_' | '.' | '@' | '/')
            })
            .collect();
        match after.split_once("}}") {
            Some((_, block)) if !name.is_empty() => {
                text.push_str(&format!("{{{{#{name}}}}}{{{{else}}}}"));
                rest = block;
            }
            _ => {
                text.push_str("{{^");
                rest = after;
            }
        }
    }
    text + rest
}

/// Doubles the backslashes in the strings of expressions: in JavaScript's Handlebars they are text
/// there, but before a quote.
fn with_plain_backslashes(template: &str) -> String {
    let mut text = String::with_capacity(template.len());
    let (mut inside, mut quote) = (false, None);
    let mut letters = template.chars().peekable();
    while let Some(letter) = letters.next() {
        text.push(letter);
        match quote {
            None if letters.peek() == Some(&letter) && letter == '{' => inside = true,
            None if letters.peek() == Some(&letter) && letter == '}' => inside = false,
            None if inside && matches!(letter, '\'' | '"') => quote = Some(letter),
            None => {}
            Some(open) if letter == '\\' => text.push(letters.next_if_eq(&open).unwrap_or('\\')),
            Some(open) if letter == open => quote = None,
            Some(_) => {}
        }
    }
    text
}

/// Why, without the place: a template here is one line.
fn reason(error: &RenderError) -> String {
    match error.reason() {
        RenderErrorReason::HelperNotFound(name) => {
            format!("there is no helper `{name}`; there are `date` and `commit_date`")
        }
        RenderErrorReason::Other(why) => why.clone(),
        other => other.to_string(),
    }
}

/// The values that a template names: `branch` of `v{{branch}}`, and nothing of what has arguments or
/// is a block.
pub(super) fn names(template: &str) -> Vec<&str> {
    let expressions = template.split("{{").skip(1).filter_map(|rest| rest.split("}}").next());
    let word = |inner: &str| {
        let start = inner.find(|letter: char| !"{&~ \t".contains(letter))?;
        let word = inner.get(start..)?.trim_end_matches(['~', ' ', '\t']);
        Some((start, word.len()))
    };
    let is_name = |word: &&str| {
        word.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    expressions
        .filter_map(|inner| {
            word(inner).and_then(|(start, length)| inner.get(start..start + length))
        })
        .filter(is_name)
        .collect()
}

/// Whether a pattern is `{{raw}}` and nothing else.
pub(super) fn is_raw(pattern: &str) -> bool {
    let Ok(template) = Template::compile(pattern) else { return false };
    let [TemplateElement::Expression(expression) | TemplateElement::HtmlExpression(expression)] =
        template.elements.as_slice()
    else {
        return false;
    };
    match &expression.name {
        Parameter::Name(name) => name == "raw",
        path @ Parameter::Path(_) => path.as_name() == Some("raw"),
        _ => false,
    }
}

/// `{{date 'FORMAT' tz='ZONE'}}`.
struct DateHelper {
    name: &'static str,
    time: Timestamp,
    warnings: Arc<Mutex<Vec<String>>>,
}

impl HelperDef for DateHelper {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let other = |why: String| RenderErrorReason::Other(why);
        let format =
            helper.param(0).and_then(|format| format.value().as_str()).ok_or_else(|| {
                other(format!(
                    "`{0}` needs a format in single quotes, such as `{{{{{0} 'YYYYMMDD'}}}}`",
                    self.name
                ))
            })?;
        let mut zone = "UTC";
        for (name, value) in helper.hash() {
            match (*name, value.value().as_str()) {
                ("tz", Some(name)) if !name.is_empty() => zone = name,
                ("tz", _) => {
                    return Err(other(
                        "`tz` needs the name of a time zone, such as `Europe/Paris`".to_owned(),
                    )
                    .into());
                }
                (name, _) => {
                    return Err(other(format!(
                        "`{}` has no attribute `{name}`; it takes `tz`",
                        self.name
                    ))
                    .into());
                }
            }
        }
        let zone = TimeZoneDatabase::bundled().get(zone).unwrap_or_else(|_| {
            if let Ok(mut warnings) = self.warnings.lock() {
                warnings.push(format!("there is no time zone `{zone}`; the date is in UTC"));
            }
            TimeZone::UTC
        });
        Ok(ScopedJson::Derived(Value::String(moment::format(&self.time.to_zoned(zone), format))))
    }
}

/// A list in a text: JavaScript joins it by commas.
struct ListHelper(&'static str);

impl HelperDef for ListHelper {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        _: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        context: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let list = context.data()[self.0].as_array().map(Vec::as_slice).unwrap_or_default();
        let words: Vec<String> = list
            .iter()
            .map(|word| word.as_str().map_or_else(|| word.to_string(), str::to_owned))
            .collect();
        Ok(ScopedJson::Derived(Value::String(words.join(","))))
    }
}

/// `{{#name}}…{{/name}}`: the block of a value, once for each of a list.
struct BlockOfValue;

impl HelperDef for BlockOfValue {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        rendering: &mut RenderContext<'reg, 'rc>,
        output: &mut dyn Output,
    ) -> HelperResult {
        use handlebars::Renderable as _;
        let value = context.data().get(helper.name()).cloned().unwrap_or_default();
        let items = match value {
            Value::Array(items) => items,
            Value::Null | Value::Bool(false) => Vec::new(),
            value => vec![value],
        };
        let (block, otherwise) = (helper.template(), helper.inverse());
        if items.is_empty() {
            return otherwise
                .map_or(Ok(()), |template| template.render(registry, context, rendering, output));
        }
        for item in items {
            let mut scope = BlockContext::new();
            scope.set_base_value(item);
            rendering.push_block(scope);
            let rendered = block
                .map_or(Ok(()), |template| template.render(registry, context, rendering, output));
            rendering.pop_block();
            rendered?;
        }
        Ok(())
    }
}
