//! A workflow whose matrix has outputs → the same workflow with one job for each leg, for act,
//! which keeps the outputs of one leg alone: it evaluates them in place, so that what the first leg
//! leaves empty stays empty. GitHub does not. Nothing else of the workflow changes.

use serde_json::{Map, Value, json};

/// `planned` are the legs of a matrix that an earlier job makes.
pub(crate) fn written_out(text: &str, planned: &Value) -> String {
    let mut workflow: Value = serde_saphyr::from_str(text).unwrap();
    let mut changed = false;
    let jobs = workflow["jobs"].as_object_mut().unwrap();
    let names: Vec<String> = jobs.keys().cloned().collect();
    for name in names {
        let include = &jobs[&name]["strategy"]["matrix"]["include"];
        if include.is_null() || jobs[&name]["outputs"].is_null() {
            continue;
        }
        let legs = if include.is_string() { planned.clone() } else { include.clone() };
        changed = true;
        let job = jobs.remove(&name).unwrap();
        let mut replaced = Vec::new();
        for (number, leg) in legs.as_array().unwrap().iter().enumerate() {
            let mut job = filled(&job, leg.as_object().unwrap());
            job.as_object_mut().unwrap().remove("strategy");
            replaced.push(format!("{name}-{number}"));
            jobs.insert(format!("{name}-{number}"), job);
        }
        for job in jobs.values_mut().filter(|job| !job["needs"].is_null()) {
            let needs = match job["needs"].take() {
                Value::Array(needs) => needs,
                one => vec![one],
            };
            let needs = needs.into_iter().flat_map(|need| {
                if need == json!(name) {
                    replaced.iter().map(|leg| json!(leg)).collect()
                } else {
                    vec![need]
                }
            });
            job["needs"] = needs.collect();
        }
    }
    // JSON is YAML.
    if changed { serde_json::to_string_pretty(&workflow).unwrap() } else { text.to_owned() }
}

/// The job with `matrix.NAME` replaced by the leg's own value, as an expression or whole.
fn filled(value: &Value, leg: &Map<String, Value>) -> Value {
    match value {
        Value::String(text) => {
            let mut text = text.clone();
            for (name, value) in leg {
                let plain = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                text = text.replace(&format!("${{{{ matrix.{name} }}}}"), &plain);
                let literal =
                    value.as_str().map_or_else(|| value.to_string(), |text| format!("'{text}'"));
                text = text.replace(&format!("matrix.{name}"), &literal);
            }
            text.into()
        }
        Value::Array(values) => values.iter().map(|value| filled(value, leg)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), filled(value, leg)))
            .collect::<Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}
