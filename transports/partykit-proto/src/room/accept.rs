//! Which part of some changes a policy accepts.

use std::mem;

use roommate::{Cell, Changes, Content, Id, RowChanges, TableChanges};

use crate::policy::{Asker, Policy};

/// The outcome of some changes. Each assignment is in one of the two fields, unless it only mentioned a table or row.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Verdict {
    pub(super) accepted: Changes,
    pub(super) refused: Changes,
}

/// Divides `changes` into what the policy accepts and what it refuses.
pub(super) fn accept(policy: &dyn Policy, asker: Asker<'_>, contents: &Content, mut changes: Changes) -> Verdict {
    if policy.allows_all_changes() {
        changes.prune();
        return Verdict { accepted: changes, refused: Changes::new() };
    }
    let gate = Gate { policy, asker, contents };
    let mut refused = Changes::new();
    changes.tables.retain(|table_id, rows| {
        let allowed = match rows {
            None => policy.can_del_table(table_id, asker),
            Some(_) => policy.can_set_table(table_id, asker),
        };
        let refuse = |rows| drop(refused.tables.insert(table_id, rows));
        let Some(rows) = pass(allowed, rows, refuse) else { return allowed };
        let refused_rows = gate.divide_rows(table_id, rows);
        if !refused_rows.is_empty() {
            refused.tables.insert(table_id, Some(refused_rows));
        }
        !rows.is_empty()
    });
    changes.values.retain(|value_id, value| {
        let allowed = match value {
            None => policy.can_del_value(value_id, asker),
            Some(value) => policy.can_set_value(value_id, value, contents.values.get(value_id), asker),
        };
        pass(allowed, value, |value| drop(refused.values.insert(value_id, value)));
        allowed
    });
    refused.prune();
    Verdict { accepted: changes, refused }
}

/// Divides a first content into what the policy accepts, pruned, and what it refuses.
pub(super) fn divide_content(policy: &dyn Policy, asker: Asker<'_>, mut content: Content) -> (Content, Changes) {
    if policy.allows_all_changes() {
        content.prune();
        return (content, Changes::new());
    }
    let Verdict { accepted, refused } = accept(policy, asker, &Content::new(), Changes::from(&content));
    content = Content::new();
    content.apply(&accepted);
    (content, refused)
}

#[derive(Debug)]
struct Gate<'a> {
    policy: &'a dyn Policy,
    asker: Asker<'a>,
    contents: &'a Content,
}

impl Gate<'_> {
    /// Keeps in `rows` the changes that the policy accepts, and returns the rest.
    fn divide_rows(&self, table_id: &Id, rows: &mut TableChanges) -> TableChanges {
        let mut refused = TableChanges::new();
        rows.retain(|row_id, cells| {
            let allowed = match cells {
                None => self.policy.can_del_row(table_id, row_id, self.asker),
                Some(_) => self.policy.can_set_row(table_id, row_id, self.asker),
            };
            let refuse = |cells| drop(refused.insert(row_id, cells));
            let Some(cells) = pass(allowed, cells, refuse) else { return allowed };
            let refused_cells = self.divide_cells(table_id, row_id, cells);
            if !refused_cells.is_empty() {
                refused.insert(row_id, Some(refused_cells));
            }
            !cells.is_empty()
        });
        refused
    }

    /// Keeps in `cells` the changes that the policy accepts, and returns the rest.
    fn divide_cells(&self, table_id: &Id, row_id: &Id, cells: &mut RowChanges) -> RowChanges {
        let mut refused = RowChanges::new();
        cells.retain(|cell_id, cell| {
            let allowed = match cell {
                None => self.policy.can_del_cell(table_id, row_id, cell_id, self.asker),
                Some(cell) => self.can_set_cell(table_id, row_id, cell_id, cell),
            };
            pass(allowed, cell, |cell| drop(refused.insert(cell_id, cell)));
            allowed
        });
        refused
    }

    fn can_set_cell(&self, table_id: &Id, row_id: &Id, cell_id: &Id, cell: &Cell) -> bool {
        let old = self.contents.cell(table_id, row_id, cell_id);
        self.policy.can_set_cell(table_id, row_id, cell_id, cell, old, self.asker)
    }
}

/// Returns what is inside of an allowed change, to be checked in turn. Passes a change that is not allowed to `refuse`.
fn pass<T>(allowed: bool, change: &mut Option<T>, refuse: impl FnOnce(Option<T>)) -> Option<&mut T> {
    if allowed {
        return change.as_mut();
    }
    refuse(mem::take(change));
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AllowAll, Context};

    /// Allows everything, too, but does not report that it does.
    #[derive(Debug)]
    struct Yes;

    impl Policy for Yes {}

    #[test]
    fn a_policy_that_allows_all_changes_is_one_that_allows_each() {
        let context = Context::default();
        let asker = Asker { context: &context, connection: None };
        for json in [
            "[{},{},1]",
            r#"[{"t":{"r":{"c":1,"d":null},"e":{}},"empty":{}},{"v":2,"w":null},1]"#,
            r#"[{"t":{"e":{}}},{},1]"#,
        ] {
            let changes = || {
                let mut changes = Changes::from_json(json).unwrap().value;
                changes.del_cell("t", "r", "gone");
                changes.del_row("t", "gone");
                changes.del_table("gone");
                changes
            };
            let contents = Content::new();
            let [all, each] = [&AllowAll as &dyn Policy, &Yes].map(|it| accept(it, asker, &contents, changes()));
            assert_eq!(all, each, "{json}");
        }
        for json in ["[{},{}]", r#"[{"t":{"r":{"c":1},"e":{}},"empty":{}},{"v":2}]"#] {
            let content = || Content::from_json(json).unwrap().value;
            let [all, each] = [&AllowAll as &dyn Policy, &Yes].map(|it| divide_content(it, asker, content()));
            assert_eq!(all, each, "{json}");
        }
    }
}
