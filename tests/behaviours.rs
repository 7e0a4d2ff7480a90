//! The lists of what TinyBase does, and of where we differ on purpose, name tests that are there.

use std::{collections::HashSet, fs, path::Path};

const LISTS: [&str; 2] = ["tests/differential/BEHAVIOURS.md", "tests/differential/DIFFERENCES.md"];

#[test]
fn every_test_that_the_lists_name_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = HashSet::new();
    for folder in ["src", "tests/engine"] {
        collect(&root.join(folder), &mut tests);
    }
    for list in LISTS {
        let text = fs::read_to_string(root.join(list)).expect("the list is there");
        let named: Vec<_> = text.split('`').skip(1).step_by(2).filter_map(test_name).collect();
        assert!(named.len() > 20, "{list} names {} tests", named.len());
        for name in named {
            assert!(tests.contains(name), "{list} names {name}, and there is no such test");
        }
    }
}

/// The name, if what stands in quotes is that of a test: words with underscores.
fn test_name(quoted: &str) -> Option<&str> {
    let name = quoted.rsplit("::").next()?;
    let is_name = name.matches('_').count() > 2 && name.chars().all(|char| char == '_' || char.is_ascii_alphanumeric());
    is_name.then_some(name)
}

/// Adds the names of all functions in a folder.
fn collect(folder: &Path, names: &mut HashSet<String>) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            collect(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).expect("the file is there");
            let functions = source.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
            names.extend(functions.map(str::to_owned));
        }
    }
}
