//! The tool with which the model loads a skill, and the section of the system prompt that lists the skills of a run.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Read},
    path::{Component, Path, PathBuf},
};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{archive::SKILL_FILE, front_matter};
use crate::{
    llm::ToolSpec,
    tools::{Effect, Tool, ToolAnswer, ToolContext, ToolFailure},
};

pub const NAME: &str = "skill";
/// Folder in the sandbox that contains the mounted skills.
pub const MOUNTED_AT: &str = "/skills";
/// Maximum number of bytes that the tool returns from a file. Longer files are truncated.
const MAX_FILE: u64 = 64 * 1024;
const MAX_LISTED: usize = 100;

#[derive(Clone, Debug)]
pub struct RunSkill {
    pub name: String,
    pub description: String,
    /// Folder of the unpacked files on the host.
    pub folder: PathBuf,
}

impl RunSkill {
    pub fn mounted_at(&self) -> String {
        format!("{MOUNTED_AT}/{}", self.name)
    }
}

pub fn spec() -> ToolSpec {
    ToolSpec {
        name: NAME.to_owned(),
        description: "Loads a skill: instructions for a kind of task. The instructions may refer to files of the skill. Load a skill \
                      before you work on a task that its description covers. With `file`, returns a text file of the skill \
                      instead."
            .to_owned(),
        parameters: json!({
            "type": "object",
            "properties": {
                "name": {"type": "string", "description": "Name of the skill."},
                "file": {
                    "type": "string",
                    "description": "Path of a file in the skill's folder, such as references/format.md. Default: the instructions.",
                },
            },
            "required": ["name"],
            "additionalProperties": false,
        }),
    }
}

/// Builds the section of the system prompt that lists the skills. If the list exceeds `most` bytes, the descriptions
/// are shortened.
pub fn section(skills: &[RunSkill], has_sandbox: bool, most: usize) -> String {
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = |skill: &RunSkill, description: &str| format!("\n- {}: {description}", skill.name);
    let whole: usize = skills
        .iter()
        .map(|skill| line(skill, &one_line(&skill.description)).len())
        .sum();
    let share = most / skills.len().max(1);
    let mut text = "Skills:\nEach skill has instructions for a kind of task. If a skill covers the task, load it with the tool skill \
                    before you begin."
        .to_owned();
    if has_sandbox {
        text.push_str(" The files of a skill are in /skills/NAME, read-only.");
    }
    for skill in skills {
        let mut description = one_line(&skill.description);
        if whole > most {
            let room = share.saturating_sub(line(skill, "…").len());
            description.truncate(description.floor_char_boundary(room));
            description.push('…');
        }
        text.push_str(&line(skill, &description));
    }
    text
}

pub struct LoadSkill {
    skills: Vec<RunSkill>,
    has_sandbox: bool,
}

impl LoadSkill {
    pub fn new(skills: Vec<RunSkill>, has_sandbox: bool) -> Self {
        Self { skills, has_sandbox }
    }
}

#[async_trait]
impl Tool for LoadSkill {
    fn spec(&self) -> ToolSpec {
        spec()
    }

    fn effect(&self) -> Effect {
        Effect::ReadOnly
    }

    async fn call(&self, arguments: Value, _: &ToolContext) -> Result<ToolAnswer, ToolFailure> {
        let text = |field: &str| arguments.get(field).and_then(Value::as_str);
        let name = text("name").unwrap_or_default();
        let Some(skill) = self.skills.iter().find(|skill| skill.name == name).cloned() else {
            let names: Vec<&str> = self.skills.iter().map(|skill| skill.name.as_str()).collect();
            let message = format!("there is no skill {name:?}; the skills are: {}", names.join(", "));
            return Err(ToolFailure::Reported(message));
        };
        let (file, has_sandbox) = (text("file").map(str::to_owned), self.has_sandbox);
        let answer = tokio::task::spawn_blocking(move || match file {
            Some(file) => read(&skill, &file),
            None => load(&skill, has_sandbox),
        });
        let answer = answer
            .await
            .map_err(|_| ToolFailure::Reported("the skill could not be read".to_owned()))?;
        answer.map_err(ToolFailure::Reported)
    }
}

fn load(skill: &RunSkill, has_sandbox: bool) -> Result<ToolAnswer, String> {
    let (text, _) = content(&skill.folder.join(SKILL_FILE)).map_err(|error| missing(skill, SKILL_FILE, &error))?;
    let mut answer = front_matter::instructions(&text).to_owned();
    let mut files = Vec::new();
    list(&skill.folder, &skill.folder, &mut files);
    files.retain(|path| path != SKILL_FILE);
    files.sort();
    if !files.is_empty() {
        let place = if has_sandbox {
            skill.mounted_at()
        } else {
            "the skill".to_owned()
        };
        let _ = write!(answer, "\n\nFiles in {place}:");
        for path in files.iter().take(MAX_LISTED) {
            let _ = write!(answer, "\n- {path}");
        }
        if files.len() > MAX_LISTED {
            let _ = write!(answer, "\n- and {} more", files.len() - MAX_LISTED);
        }
    }
    Ok(ToolAnswer {
        text: answer,
        ..ToolAnswer::default()
    })
}

fn read(skill: &RunSkill, file: &str) -> Result<ToolAnswer, String> {
    // The files of a skill are unpacked without links, so a path without `..` stays in the folder.
    let file = file.strip_prefix(&format!("{}/", skill.mounted_at())).unwrap_or(file);
    let is_inside = Path::new(file)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if file.is_empty() || !is_inside {
        return Err(format!(
            "{file:?} is not a path in the folder of the skill {}",
            skill.name
        ));
    }
    let (text, truncated) = content(&skill.folder.join(file)).map_err(|error| missing(skill, file, &error))?;
    Ok(ToolAnswer {
        text,
        truncated,
        ..ToolAnswer::default()
    })
}

fn missing(skill: &RunSkill, file: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!("the skill {} has no file {file}", skill.name),
        io::ErrorKind::InvalidData => format!("{file} is not a text file; use a command to read it"),
        _ => format!("{file} cannot be read"),
    }
}

/// Reads the beginning of a text file. The flag is true if the file is longer.
fn content(path: &Path) -> io::Result<(String, bool)> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    let truncated = bytes.len() as u64 > MAX_FILE;
    bytes.truncate(usize::try_from(MAX_FILE).unwrap_or(usize::MAX));
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok((text.to_owned(), truncated)),
        // The size limit may have cut the last character.
        Err(error) if truncated && error.error_len().is_none() => Ok((
            String::from_utf8_lossy(&bytes[..error.valid_up_to()]).into_owned(),
            true,
        )),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    }
}

/// Adds the paths of all files below `folder`, relative to `top`.
fn list(top: &Path, folder: &Path, files: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            list(top, &path, files);
        } else if let Ok(below) = path.strip_prefix(top) {
            files.push(below.to_string_lossy().into_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_keeps_its_budget_and_all_names() {
        let skill = |number: usize| RunSkill {
            name: format!("skill-{number}"),
            description: "ä ".repeat(500),
            folder: PathBuf::new(),
        };
        let skills: Vec<_> = (0..32).map(skill).collect();
        let head = section(&[], true, 0).len();
        let short = section(&skills, true, 8192);
        assert!(short.len() - head <= 8192, "{}", short.len());
        assert!(
            skills
                .iter()
                .all(|skill| short.contains(&format!("\n- {}: ä", skill.name)))
        );
        let whole = section(&skills, true, 1 << 20);
        assert!(
            whole.len() > 32 * 1000 && !whole.contains('…'),
            "control: nothing is shortened"
        );
    }
}
