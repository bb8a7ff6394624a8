//! YAML with comments, written section by section: values go through the YAML library, so that quoting is never
//! a matter of luck, and comments stand where a person would put them.

use serde::Serialize;

/// A file in the making.
#[derive(Debug, Default)]
pub struct Document {
    text: String,
}

/// One item of a list, with the lines said about it.
#[derive(Debug)]
pub struct Item<T> {
    pub comments: Vec<String>,
    pub value: T,
}

/// Longest comment line: beyond it, and at a line end, a comment is cut, because it may repeat what others wrote.
const LONGEST_COMMENT: usize = 300;

// === impl Document ===

impl Document {
    /// Lines that are no settings.
    pub fn comment(&mut self, text: &str) {
        for line in text.lines() {
            self.comment_line(0, line);
        }
    }

    pub fn gap(&mut self) {
        self.text.push('\n');
    }

    /// `key: value`, or a whole section.
    pub fn setting(&mut self, key: &str, value: &impl Serialize) -> Result<(), serde_yaml::Error> {
        let mut mapping = serde_yaml::Mapping::new();
        mapping.insert(key.into(), serde_yaml::to_value(value)?);
        self.text.push_str(&serde_yaml::to_string(&mapping)?);
        Ok(())
    }

    /// `key:` and its items, each under its comments.
    pub fn list<T: Serialize>(&mut self, key: &str, items: &[Item<T>]) -> Result<(), serde_yaml::Error> {
        self.text.push_str(key);
        self.text.push_str(":\n");
        for item in items {
            for comment in &item.comments {
                self.comment_line(2, comment);
            }
            let text = serde_yaml::to_string(&[&item.value])?;
            for line in text.lines() {
                self.text.push_str("  ");
                self.text.push_str(line);
                self.text.push('\n');
            }
        }
        Ok(())
    }

    /// A comment at the depth of list items.
    pub fn list_comment(&mut self, text: &str) {
        self.comment_line(2, text);
    }

    pub fn finish(self) -> String {
        self.text
    }

    fn comment_line(&mut self, depth: usize, text: &str) {
        let plain = text
            .chars()
            .map(|each| if each.is_control() { ' ' } else { each });
        let line: String = plain.take(LONGEST_COMMENT).collect();
        self.text.push_str(&" ".repeat(depth));
        self.text.push_str(format!("# {line}").trim_end());
        self.text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut document = Document::default();
        document.comment("first\nsecond");
        document.gap();
        let nasty = "it's: # \"quoted\"\nand two lines";
        document.setting("accounts", &"backend").unwrap();
        let item = Item {
            comments: vec!["about\nit".to_owned()],
            value: serde_json::json!({"name": nasty, "list": [1, "off"]}),
        };
        document.list("rules", &[item]).unwrap();
        let text = document.finish();
        assert!(text.starts_with("# first\n# second\n\n"), "{text}");
        assert!(text.contains("\n  # about it\n"), "{text}");
        let value: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(value["accounts"], "backend");
        assert_eq!(value["rules"][0]["name"], nasty);
        assert_eq!(value["rules"][0]["list"][1], "off");
    }
}
