//! Every input as a row: what reads it, which actions have it, and what people are told of it. The
//! names, the secrets, the defaults, each `action.yml` and the page of inputs come from here. It
//! parses nothing.

mod build;
mod common;
mod evidence;
mod naming;
mod promoting;
mod reach;
mod reasons;
mod rescanning;
mod scanning;

/// Whose inputs are read: each action knows its own alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Publish,
    Merge,
    Bake,
    Promote,
    Scan,
}

/// The task that an input is part of; pages and files have them in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputGroup {
    Names,
    BakeFiles,
    Build,
    Digests,
    Policy,
    Logins,
    Sboms,
    Scan,
    Signing,
    Trust,
    Builder,
    Network,
    Accepted,
}

/// What of an input's value is hidden in logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputSecret {
    Nothing,
    Whole,
    /// What follows the `=` of each line.
    Values,
    /// What follows each `password:`.
    Passwords,
}

/// An input, by its name in workflows.
#[derive(Debug, Clone, Copy)]
pub struct Input {
    pub name: &'static str,
    pub group: InputGroup,
    /// Whether most workflows need it; such inputs come first.
    pub common: bool,
    /// What stands for it where nothing is set; an expression is the runner's to evaluate.
    pub default: Option<&'static str>,
    pub secret: InputSecret,
    /// The actions that have it.
    pub of: &'static [InputOfAction],
    pub description: &'static str,
}

/// What a row leaves unsaid.
const ROW: Input = Input {
    name: "",
    group: InputGroup::Accepted,
    common: false,
    default: None,
    secret: InputSecret::Nothing,
    of: &[],
    description: "",
};

/// One action that has an input, and what differs there.
#[derive(Debug, Clone, Copy)]
pub struct InputOfAction {
    pub action: Action,
    /// Default and description where they are not those of the row.
    own: Option<(Option<&'static str>, &'static str)>,
    /// The task there, where it is another than that of the row.
    group: Option<InputGroup>,
    /// Why no job of these workflows gives it to the action.
    pub withheld: Option<(Reusable, &'static str)>,
}

/// Which of the workflows to call leave an input out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reusable {
    Both,
    /// `publish.yml`, which claims a build level.
    Strict,
    /// `publish-custom.yml`.
    Custom,
}

const PUBLISH: InputOfAction = InputOfAction::new(Action::Publish);
const MERGE: InputOfAction = InputOfAction::new(Action::Merge);
const BAKE: InputOfAction = InputOfAction::new(Action::Bake);
const PROMOTE: InputOfAction = InputOfAction::new(Action::Promote);
const SCAN: InputOfAction = InputOfAction::new(Action::Scan);

impl InputOfAction {
    const fn new(action: Action) -> Self {
        Self { action, own: None, group: None, withheld: None }
    }

    const fn own(self, default: Option<&'static str>, description: &'static str) -> Self {
        Self { own: Some((default, description)), ..self }
    }

    const fn below(self, group: InputGroup) -> Self {
        Self { group: Some(group), ..self }
    }

    const fn withheld(self, why: &'static str) -> Self {
        Self { withheld: Some((Reusable::Both, why)), ..self }
    }

    const fn strict_withholds(self, why: &'static str) -> Self {
        Self { withheld: Some((Reusable::Strict, why)), ..self }
    }

    const fn custom_withholds(self, why: &'static str) -> Self {
        Self { withheld: Some((Reusable::Custom, why)), ..self }
    }
}

/// Every input once: the common ones first, then by group.
pub fn inputs() -> impl Iterator<Item = &'static Input> {
    let parts = [
        common::COMMON,
        promoting::PROMOTING,
        rescanning::RESCANNING,
        naming::NAMING,
        build::BUILD,
        evidence::EVIDENCE,
        scanning::SCANNING,
        reach::REACH,
    ];
    parts.into_iter().flatten()
}

/// The input of this name, whichever action has it.
pub fn input(name: &str) -> Option<&'static Input> {
    inputs().find(|input| input.name == name)
}

impl Input {
    /// How an action has it.
    pub fn of(&self, action: Action) -> Option<&InputOfAction> {
        self.of.iter().find(|of| of.action == action)
    }

    pub fn default(&self, action: Action) -> Option<&'static str> {
        self.of(action)?.own.map_or(self.default, |(default, _)| default)
    }

    pub fn group(&self, action: Action) -> InputGroup {
        self.of(action).and_then(|of| of.group).unwrap_or(self.group)
    }

    pub fn description(&self, action: Action) -> &'static str {
        let own = self.of(action).and_then(|of| of.own);
        own.map_or(self.description, |(_, description)| description)
    }
}

impl Action {
    pub const ALL: [Self; 5] = [Self::Publish, Self::Merge, Self::Bake, Self::Promote, Self::Scan];

    /// What the command line calls it.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Merge => "merge",
            Self::Bake => "bake",
            Self::Promote => "promote",
            Self::Scan => "scan",
        }
    }

    /// What it does, for the list of actions.
    pub fn about(self) -> &'static str {
        match self {
            Self::Publish => {
                "Publishes container images only with complete, verified evidence. Build, sign, \
                 attest, verify, and only then tag."
            }
            Self::Merge => {
                "Makes one image of what several jobs pushed by digest, and publishes it only with \
                 complete, verified evidence."
            }
            Self::Bake => {
                "Builds the targets of bake files together, and publishes them only together and \
                 only with complete, verified evidence."
            }
            Self::Promote => {
                "Copies a published image with all its evidence to other repositories, verified \
                 before and after, and only then tagged."
            }
            Self::Scan => {
                "Looks up the known vulnerabilities of published images again, after their evidence \
                 is verified, and signs the new result."
            }
        }
    }

    /// The inputs that it has, the common ones first.
    pub fn inputs(self) -> impl Iterator<Item = &'static Input> {
        inputs().filter(move |input| input.of(self).is_some())
    }

    pub fn has(self, name: &str) -> bool {
        self.inputs().any(|input| input.name == name)
    }
}

impl std::str::FromStr for Action {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|action| action.verb() == text);
        known.ok_or_else(|| {
            let verbs = Self::ALL.map(|action| format!("`{}`", action.verb()));
            format!("`{text}` is none of {}", verbs.join(", "))
        })
    }
}

impl InputGroup {
    pub const ALL: [Self; 13] = [
        Self::Names,
        Self::BakeFiles,
        Self::Build,
        Self::Digests,
        Self::Policy,
        Self::Logins,
        Self::Sboms,
        Self::Scan,
        Self::Signing,
        Self::Trust,
        Self::Builder,
        Self::Network,
        Self::Accepted,
    ];

    pub fn title(self) -> &'static str {
        match self {
            Self::Names => "Tags, labels, annotations",
            Self::BakeFiles => "Bake files",
            Self::Build => "Build",
            Self::Digests => "Digests of several jobs",
            Self::Policy => "Whose image it is, and what must be proven",
            Self::Logins => "Logins",
            Self::Sboms => "SBOM and provenance",
            Self::Scan => "Known vulnerabilities",
            Self::Signing => "Signing and evidence",
            Self::Trust => "Trust",
            Self::Builder => "Builder",
            Self::Network => "Network",
            Self::Accepted => "What else is accepted",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_one_name_an_action_and_a_description_of_one_line() {
        let mut seen = Vec::new();
        for input in inputs() {
            assert!(!seen.contains(&input.name), "`{}` has two rows", input.name);
            seen.push(input.name);
            assert!(!input.of.is_empty(), "`{}` is no action's", input.name);
            for of in input.of {
                let said = input.description(of.action);
                assert!(
                    !said.is_empty() && !said.contains(['\n', '"']) && !said.contains("  "),
                    "`{}`: {said:?}",
                    input.name
                );
                let again = input.of.iter().filter(|other| other.action == of.action);
                assert_eq!(again.count(), 1, "`{}` has an action twice", input.name);
            }
        }
        assert!(seen.len() > 80, "{}", seen.len());
    }
}
