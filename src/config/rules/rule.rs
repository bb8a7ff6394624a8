//! One rule, and the list of them in the order in which they are asked.

use std::path::PathBuf;

use super::super::reader::{Field, Section, Unique};
use super::matcher::Surroundings;
use super::{RuleActions, RuleMatch};

/// The first rule that matches a statement decides, unless it says `continue`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Unique among the rules.
    pub name: String,
    /// Where it stands: the file, and the line in it.
    pub file: PathBuf,
    pub line: usize,
    pub matches: RuleMatch,
    pub actions: RuleActions,
    /// Later rules are asked too, for actions that this one does not give.
    pub continues: bool,
}

/// Bounds the work for a statement.
const MOST_RULES: usize = 1000;

// === impl Rule ===

impl Rule {
    pub(in super::super) fn read_all(field: &Field<'_>, around: Surroundings<'_>) -> Vec<Self> {
        let (mut names, mut rules) = (Unique::default(), Vec::new());
        let items = field.items();
        if items.len() > MOST_RULES {
            let help = format!("keep at most {MOST_RULES}");
            field.report("too many rules", help);
        }
        if items.is_empty() {
            // The settings of a rule exist even where there is no rule.
            field.absent_item().section(|section| Self::read(section, around));
        }
        for item in items {
            if let Some(rule) = item.section(|section| Self::read(section, around)) {
                names.check(&item, "name", &rule.name);
                rules.push(rule);
            }
        }
        rules
    }

    fn read(section: &Section<'_>, around: Surroundings<'_>) -> Option<Self> {
        let (whole, name) = (section.whole(), section.field("name"));
        if whole.is_given() && !whole.is_scalar() && !name.is_given() {
            whole.report(
                "a rule needs a name",
                "give `name`, for reasons and logs to call it",
            );
        }
        let given = name.name();
        let continues = section.field("continue");
        let rule = Self {
            name: given.clone().unwrap_or_default(),
            file: whole.context.sources.path(whole.line).to_owned(),
            line: whole.context.sources.place(whole.line).1,
            matches: section
                .field("match")
                .section(|section| RuleMatch::read(section, around)),
            actions: RuleActions::read(section, around),
            continues: continues.choice_or(false),
        };
        if rule.continues && rule.actions.is_empty() {
            let help = "give an action such as `target`, or remove the rule";
            continues.report("this rule does nothing", help);
        }
        if rule.continues && rule.actions.block.is_some() {
            let help = "remove `continue`";
            continues.report("nothing follows for a statement that is refused", help);
        }
        given.map(|_| rule)
    }
}
