//! Reads the workspace: the only part of this crate that touches anything outside.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

use cargo_metadata::{DependencyKind, MetadataCommand};

use crate::arrows::{Dependency, Package};
use crate::source::{self, Source};

/// Why the workspace could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file vanished or may not be read.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The list of files comes from git, so this must be a git checkout.
    #[error("git {arguments}: {reason}")]
    Git {
        /// What git was asked.
        arguments: String,
        /// What it, or the system, said.
        reason: String,
    },
    /// A file that rustc would refuse too.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// The crates and their dependencies are told by cargo.
    #[error(transparent)]
    Metadata(#[from] cargo_metadata::Error),
}

/// A file that is text.
#[derive(Debug)]
pub struct TextFile {
    /// Path from the workspace root, with `/` on every system.
    pub path: String,
    /// The whole text.
    pub text: String,
}

/// All that is checked.
#[derive(Debug)]
pub struct Workspace {
    /// Every text file that git tracks or would track, but for licences and lock files.
    pub files: Vec<TextFile>,
    /// The Rust files among them.
    pub sources: Vec<Source>,
    /// The crates.
    pub packages: Vec<Package>,
    /// The latest commit message.
    pub commit_message: String,
}

impl Workspace {
    /// Reads the workspace that this crate belongs to.
    pub fn read() -> Result<Self, Error> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let files = text_files(&root)?;
        Ok(Self {
            sources: sources(&files)?,
            files,
            packages: packages(&root)?,
            commit_message: git(&root, &["log", "-1", "--format=%B"])?,
        })
    }
}

fn text_files(root: &Path) -> Result<Vec<TextFile>, Error> {
    let arguments = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
    let list = git(root, &arguments)?;
    let mut files = Vec::new();
    for path in list.split_terminator('\0') {
        let full_path = root.join(path);
        let is_ours = path != "LICENSE" && !path.ends_with(".lock");
        // A file that was just deleted is listed until the deletion is committed.
        if !is_ours || !full_path.is_file() {
            continue;
        }
        let bytes = fs::read(&full_path).map_err(|error| Error::Read { path: full_path, error })?;
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(TextFile { path: path.to_owned(), text });
        }
    }
    Ok(files)
}

fn sources(files: &[TextFile]) -> Result<Vec<Source>, Error> {
    let rust = files.iter().filter(|file| file.path.ends_with(".rs"));
    let mut sources = rust
        .map(|file| Source::parse(&file.path, &file.text))
        .collect::<Result<Vec<Source>, source::Error>>()?;
    source::mark_test_modules(&mut sources);
    Ok(sources)
}

fn packages(root: &Path) -> Result<Vec<Package>, Error> {
    let metadata =
        MetadataCommand::new().manifest_path(root.join("Cargo.toml")).no_deps().exec()?;
    let workspace_root = &metadata.workspace_root;
    let packages = metadata.packages.iter().map(|package| {
        let folder = package.manifest_path.parent().unwrap_or(workspace_root);
        let folder = folder.strip_prefix(workspace_root).unwrap_or(folder);
        let dependencies = package.dependencies.iter().map(|dependency| Dependency {
            name: dependency.name.clone(),
            for_tests: dependency.kind == DependencyKind::Development,
        });
        Package {
            name: package.name.to_string(),
            folder: folder.as_str().replace('\\', "/"),
            dependencies: dependencies.collect(),
        }
    });
    Ok(packages.collect())
}

fn git(root: &Path, arguments: &[&str]) -> Result<String, Error> {
    let failed = |reason: String| Error::Git { arguments: arguments.join(" "), reason };
    let output = Command::new("git")
        .current_dir(root)
        .args(arguments)
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    String::from_utf8(output.stdout).map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::violation::Violation;
    use crate::{arrows, lints, rules, size, words};

    static WORKSPACE: LazyLock<Workspace> =
        LazyLock::new(|| Workspace::read().unwrap_or_else(|error| panic!("{error}")));

    fn assert_none(violations: impl IntoIterator<Item = Violation>) {
        let mut lines: Vec<String> = violations.into_iter().map(|it| it.to_string()).collect();
        lines.sort();
        assert!(lines.is_empty(), "{} to put right:\n{}\n", lines.len(), lines.join("\n"));
    }

    fn in_each_source<Found: IntoIterator<Item = Violation>>(check: fn(&Source) -> Found) {
        assert_none(WORKSPACE.sources.iter().flat_map(check));
    }

    #[test]
    fn the_whole_workspace_is_read() {
        let has = |path: &str| WORKSPACE.files.iter().any(|file| file.path == path);

        assert!(has("Cargo.toml") && has(".ci/run") && has(words::LIST));
        assert!(WORKSPACE.sources.iter().any(|source| source.path == "common/streams/src/lib.rs"));
        assert!(WORKSPACE.packages.iter().any(|package| package.folder == "common/streams"));
        assert!(!WORKSPACE.commit_message.is_empty());
    }

    #[test]
    fn lines_are_at_most_100_columns_wide() {
        in_each_source(size::wide_lines);
    }

    #[test]
    fn files_are_at_most_500_lines_long() {
        in_each_source(size::long_file);
    }

    #[test]
    fn mains_are_at_most_50_lines_of_code() {
        in_each_source(size::long_main);
    }

    #[test]
    fn rule_files_are_under_300_lines() {
        in_each_source(size::long_rule_file);
    }

    #[test]
    fn crates_are_at_most_3500_lines_of_code() {
        let check = |package: &Package| size::long_crate(&package.folder, &WORKSPACE.sources);

        assert_none(WORKSPACE.packages.iter().filter_map(check));
    }

    #[test]
    fn nothing_is_unwrapped_outside_tests() {
        in_each_source(lints::unwraps);
    }

    #[test]
    fn no_lint_is_silenced_without_a_reason() {
        in_each_source(lints::silenced_lints);
    }

    #[test]
    fn every_crate_is_under_the_workspace_lints() {
        let is_member = |path: &str| path != "Cargo.toml" && path.ends_with("Cargo.toml");
        let manifests = WORKSPACE.files.iter().filter(|file| is_member(&file.path));

        assert_none(
            manifests.filter_map(|file| lints::missing_workspace_lints(&file.path, &file.text)),
        );
    }

    #[test]
    fn there_is_one_clippy_configuration() {
        let paths = WORKSPACE.files.iter().map(|file| &file.path);

        assert_none(paths.filter_map(|path| lints::second_clippy_configuration(path)));
    }

    #[test]
    fn every_library_opens_with_its_documentation() {
        in_each_source(lints::missing_crate_docs);
    }

    #[test]
    fn common_libraries_have_their_public_items_documented() {
        in_each_source(lints::missing_docs_lint);
    }

    #[test]
    fn no_banned_word_is_left_in_files() {
        let searched = WORKSPACE.files.iter().filter(|file| file.path != words::LIST);

        assert_none(searched.flat_map(|file| words::banned_words(&file.path, &file.text)));
    }

    #[test]
    fn no_banned_word_is_left_in_the_latest_commit_message() {
        assert_none(words::banned_words("commit message", &WORKSPACE.commit_message));
    }

    #[test]
    fn crates_use_each_other_along_the_arrows() {
        assert_none(arrows::wrong_arrows(&WORKSPACE.packages));
    }

    #[test]
    fn every_service_has_its_rule_file() {
        assert_none(rules::missing_rule_files(&WORKSPACE.sources));
    }

    #[test]
    fn rules_are_functions_from_facts_to_decisions() {
        let check = |source| rules::impure_rules(source, &WORKSPACE.packages);

        assert_none(WORKSPACE.sources.iter().flat_map(check));
    }
}
