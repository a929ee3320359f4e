//! `.trivyignore`: an id a line, `exp:` with a date behind it, comments. The comment above an id is
//! its reason; it asks for none, because that file has no place for one.
//!
//! Documentation: <https://trivy.dev/docs/latest/configuration/filtering/>.

use super::{AcceptedRisk, NumberedRule, date, plain};

pub(super) fn read(text: &str) -> Result<Vec<NumberedRule>, String> {
    let mut rules = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let at = format!("line {}", at + 1);
        let line = line.trim();
        if line.is_empty() {
            comment.clear();
            continue;
        }
        if let Some(said) = line.strip_prefix('#') {
            comment.push(said.trim());
            continue;
        }
        let (fields, behind) = line.split_once('#').unwrap_or((line, ""));
        let mut fields = fields.split_whitespace();
        let id = fields.next().map(str::to_owned);
        let mut expires = None;
        for field in fields {
            let day = field
                .strip_prefix("exp:")
                .ok_or_else(|| format!("{at}: `{}` is not known", plain(field)))?;
            expires = Some(date(day).map_err(|reason| format!("{at}: {reason}"))?);
        }
        let said = [comment.join(" "), behind.trim().to_owned()].join(" ").trim().to_owned();
        let reason = match said.is_empty() {
            true => "none is given in `.trivyignore`".to_owned(),
            false => said,
        };
        rules.push((
            at,
            AcceptedRisk {
                id,
                package: None,
                is_fixed: None,
                reason,
                expires,
                place: String::new(),
            },
        ));
        comment.clear();
    }
    Ok(rules)
}
