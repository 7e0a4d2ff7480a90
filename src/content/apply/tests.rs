//! Against the obvious model: vectors of pairs, searched one by one.

use proptest::{collection::vec, prelude::*};

use super::*;

type Pairs<V> = Vec<(String, V)>;
type Model = (Pairs<Pairs<Pairs<i32>>>, Pairs<i32>);

#[derive(Clone, Debug)]
enum Op {
    /// Of table, row and cell; none is a deletion.
    Cell(u8, u16, u8, Option<i32>),
    /// The same cells of very many rows.
    Rows(u8, u16, Vec<(u8, Option<i32>)>),
    DelRow(u8, u16),
    DelRows(u8, u16),
    DelTable(u8),
    Value(u8, Option<i32>),
    Clone,
}

fn op() -> impl Strategy<Value = Op> {
    let cell = || prop_oneof![3 => (0..4).prop_map(Some), 1 => Just(None)];
    let (table, row) = (|| 0..3_u8, || 0..200_u16);
    prop_oneof![
        6 => (table(), row(), 0..20_u8, cell()).prop_map(|(t, r, c, cell)| Op::Cell(t, r, c, cell)),
        2 => (table(), row(), vec((0..20_u8, cell()), 0..7)).prop_map(|(t, r, cells)| Op::Rows(t, r, cells)),
        3 => (table(), row()).prop_map(|(t, r)| Op::DelRow(t, r)),
        1 => (table(), row()).prop_map(|(t, r)| Op::DelRows(t, r)),
        1 => table().prop_map(Op::DelTable),
        3 => (0..40_u8, cell()).prop_map(|(id, value)| Op::Value(id, value)),
        1 => Just(Op::Clone),
    ]
}

/// Adds an operation to changes.
fn add(changes: &mut Changes, op: &Op) {
    let set = |changes: &mut Changes, t: u8, r: u16, c: u8, cell: Option<i32>| match cell {
        Some(cell) => changes.set_cell(format!("t{t}"), format!("r{r}"), format!("c{c}"), cell.into()),
        None => changes.del_cell(format!("t{t}"), format!("r{r}"), format!("c{c}")),
    };
    match op {
        Op::Cell(t, r, c, cell) => set(changes, *t, *r, *c, *cell),
        Op::Rows(t, first, cells) => {
            for r in *first..first + 100 {
                cells.iter().for_each(|(c, cell)| set(changes, *t, r, *c, *cell));
            }
        }
        Op::DelRow(t, r) => changes.del_row(format!("t{t}"), format!("r{r}")),
        Op::DelRows(t, first) => {
            (*first..first + 100).for_each(|r| changes.del_row(format!("t{t}"), format!("r{r}")));
        }
        Op::DelTable(t) => changes.del_table(format!("t{t}")),
        Op::Value(id, Some(value)) => changes.set_value(format!("v{id}"), (*value).into()),
        Op::Value(id, None) => changes.del_value(format!("v{id}")),
        Op::Clone => {}
    }
}

fn set<V>(pairs: &mut Pairs<V>, id: &str, value: V) {
    match pairs.iter_mut().find(|(known, _)| known == id) {
        Some((_, known)) => *known = value,
        None => pairs.push((id.to_owned(), value)),
    }
}

fn apply_cells(cells: &mut Pairs<i32>, changes: &RowChanges) {
    for (id, cell) in changes {
        match cell {
            Some(cell) => set(cells, id, cell.as_f64().unwrap() as i32),
            None => cells.retain(|(known, _)| known != id.as_str()),
        }
    }
}

fn apply((tables, values): &mut Model, changes: &Changes) {
    for (table_id, rows) in &changes.tables {
        let Some(rows) = rows else {
            tables.retain(|(known, _)| known != table_id.as_str());
            continue;
        };
        if !tables.iter().any(|(known, _)| known == table_id.as_str()) {
            tables.push((table_id.to_string(), Vec::new()));
        }
        let (_, table) = tables.iter_mut().find(|(known, _)| known == table_id.as_str()).unwrap();
        for (row_id, cells) in rows {
            let Some(cells) = cells else {
                table.retain(|(known, _)| known != row_id.as_str());
                continue;
            };
            if !table.iter().any(|(known, _)| known == row_id.as_str()) {
                table.push((row_id.to_string(), Vec::new()));
            }
            apply_cells(&mut table.iter_mut().find(|(known, _)| known == row_id.as_str()).unwrap().1, cells);
        }
        table.retain(|(_, cells)| !cells.is_empty());
    }
    tables.retain(|(_, rows)| !rows.is_empty());
    apply_cells(values, &changes.values);
}

/// A content as pairs, in its order.
fn read(content: &Content) -> Model {
    let cells = |row: &Row| row.iter().map(|(id, cell)| (id.to_string(), cell.as_f64().unwrap() as i32)).collect();
    let rows = |table: &Table| table.iter().map(|(id, row)| (id.to_string(), cells(row))).collect();
    (content.tables.iter().map(|(id, table)| (id.to_string(), rows(table))).collect(), cells(&content.values))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn changes_do_to_a_content_what_they_do_to_lists_of_pairs(ops in vec((op(), any::<bool>()), 0..40)) {
        let (mut content, mut model) = (Content::new(), Model::default());
        let mut clones = Vec::new();
        let mut changes = Changes::new();
        for (op, more) in ops {
            add(&mut changes, &op);
            if more {
                continue;
            }
            let before = content.clone();
            content.apply(&changes);
            apply(&mut model, &changes);
            prop_assert_eq!(&read(&content), &model);
            let mut again = content.clone();
            again.apply(&changes);
            prop_assert_eq!(&again, &content, "they are assignments");
            let mut there = before.clone();
            there.apply(&before.diff(&content));
            prop_assert_eq!(&there, &content);
            prop_assert_eq!(&Content::from_json(&content.to_json()).unwrap().value, &content);
            let mut made = Content::new();
            made.apply(&Changes::from(&content));
            prop_assert_eq!(read(&made), model.clone());
            if matches!(op, Op::Clone) {
                clones.push((content.clone(), model.clone()));
            }
            changes = Changes::new();
        }
        for (content, model) in clones {
            prop_assert_eq!(read(&content), model, "a clone keeps what it was");
        }
    }
}

/// A table of rows that have the cells `a`, `b` and `c`.
fn table_of(rows: usize) -> Content {
    let mut content = Content::new();
    for row in 0..rows {
        for cell in ["a", "b", "c"] {
            content.set_cell("t", format!("r{row}"), cell, (row as u32).into());
        }
    }
    content
}

fn shapes_of(content: &Content) -> usize {
    let shape = |row: &Row| row.narrow().map(|(shape, _)| Arc::as_ptr(shape));
    let mut shapes: Vec<_> = content.tables["t"].values().map(shape).collect();
    shapes.sort();
    shapes.dedup();
    shapes.len()
}

#[test]
fn rows_that_came_cell_by_cell_share_their_shape() {
    let mut content = table_of(1000);
    assert_eq!(shapes_of(&content), 1);
    let mut changes = Changes::new();
    (0..1000).for_each(|row| changes.del_cell("t", format!("r{row}"), "b"));
    content.apply(&changes);
    assert_eq!(shapes_of(&content), 1);
    for row in 0..1000 {
        content.set_cell("t", format!("r{row}"), "d", Cell::Null);
    }
    assert_eq!(shapes_of(&content), 1);
    let ids: Vec<_> = content.cell_ids("t", "r500").map(Id::as_str).collect();
    assert_eq!(ids, ["a", "c", "d"]);
}

#[test]
fn rows_of_several_kinds_share_a_shape_with_those_of_their_kind() {
    let mut content = Content::new();
    for row in 0..1000 {
        let mut changes = Changes::new();
        let cells: &[&str] = [&["a", "b", "c"][..], &["a", "c"], &["c", "a"]][row % 3];
        cells.iter().for_each(|cell| changes.set_cell("t", format!("r{row}"), *cell, Cell::Null));
        content.apply(&changes);
    }
    assert_eq!(shapes_of(&content), 3);
}

#[test]
fn what_is_so_already_leaves_a_clone_the_chunks_that_it_shares() {
    let mut content = table_of(1000);
    let clone = content.clone();
    content.apply(&Changes::from(&clone));
    let cells = |content: &Content, row: &str| content.row("t", row).unwrap() as *const Row;
    assert_eq!(cells(&content, "r500"), cells(&clone, "r500"));
    content.set_cell("t", "r1", "a", Cell::Null);
    assert_eq!(cells(&content, "r500"), cells(&clone, "r500"), "another chunk");
    assert_ne!(cells(&content, "r2"), cells(&clone, "r2"), "the same one");
}

#[test]
fn what_there_is_is_found_by_its_ids() {
    let mut content = table_of(2);
    content.set_value("v", true.into());
    assert_eq!(content.value("v"), Some(&true.into()));
    assert_eq!(content.value("w"), None);
    assert_eq!(content.cell("t", "r1", "b"), Some(&1.into()));
    assert_eq!(content.row_ids("t").map(Id::as_str).collect::<Vec<_>>(), ["r0", "r1"]);
    assert_eq!(content.row_ids("none").count() + content.cell_ids("t", "none").count(), 0);
    assert!(!content.is_empty());
    let mut changes = Changes::new();
    changes.del_row("t", "r0");
    changes.del_row("t", "r1");
    changes.del_value("v");
    content.apply(&changes);
    assert!(content.is_empty() && content.tables.is_empty());
}
