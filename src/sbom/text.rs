//! A document's JSON as text, put together from its members. It never holds a long list as a tree,
//! which takes longer to make and to free than to write, and gives the bytes that the tree would
//! give.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// The members of an object, each as text.
#[derive(Debug)]
pub(super) struct Text(BTreeMap<String, String>);

impl Text {
    /// Of the short members.
    pub(super) fn new(members: Value) -> Self {
        match members {
            Value::Object(members) => {
                Self(members.into_iter().map(|(name, value)| (name, json(&value))).collect())
            }
            _ => Self(BTreeMap::new()),
        }
    }

    pub(super) fn set(&mut self, name: &str, value: impl Serialize) {
        self.0.insert(name.to_owned(), json(&value));
    }

    /// What is JSON already.
    pub(super) fn set_written(&mut self, name: &str, value: String) {
        self.0.insert(name.to_owned(), value);
    }

    /// A list, of which one item is held at a time.
    pub(super) fn set_list<T: Serialize>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
    ) {
        let mut text = "[".to_owned();
        for item in items {
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&json(&item));
        }
        text.push(']');
        self.0.insert(name.to_owned(), text);
    }

    pub(super) fn written(&self) -> String {
        let mut text = String::with_capacity(
            self.0.iter().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>() + 2,
        );
        for (name, value) in &self.0 {
            text.push(if text.is_empty() { '{' } else { ',' });
            text.push_str(&json(name));
            text.push(':');
            text.push_str(value);
        }
        text.push_str(if text.is_empty() { "{}" } else { "}" });
        text
    }
}

/// What documents are made of has text for keys, and so always a text of its own.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_what_the_tree_would_be() {
        let small = json!({ "b": "ü\"\n", "Z": [1, { "y": null, "x": true }] });
        let mut text = Text::new(small.clone());
        text.set("a", "1");
        text.set_written("e", text.written());
        text.set_list("c", [json!({ "q": 1 }), json!([])]);
        text.set_list("d", Vec::<Value>::new());
        let mut tree = small.clone();
        tree["a"] = json!("1");
        tree["e"] = tree.clone();
        (tree["a"], tree["c"], tree["d"]) = (json!("1"), json!([{ "q": 1 }, []]), json!([]));
        assert_eq!(text.written(), tree.to_string());
        assert_eq!(Text::new(json!({})).written(), "{}");
    }
}
