//! Against the obvious model: a vector of pairs.

use proptest::{collection::vec, prelude::*};

use super::*;

proptest! {
    #[test]
    fn a_row_is_a_list_of_pairs_whatever_happens_to_it(ops in vec((0..40_u8, 0..30_i32), 0..80)) {
        let mut row = Row::new();
        let mut model: Vec<(String, i32)> = Vec::new();
        let mut shapes = Shapes::default();
        let mut clones: Vec<(Row, Vec<(String, i32)>)> = Vec::new();
        for (id, cell) in ops {
            let id = format!("c{id}");
            let at = model.iter().position(|(known, _)| *known == id);
            if cell % 3 == 0 {
                prop_assert_eq!(row.remove(&id), at.map(|at| model.remove(at).1.into()));
            } else {
                let old = at.map(|at| mem::replace(&mut model[at].1, cell));
                if at.is_none() {
                    model.push((id.clone(), cell));
                }
                prop_assert_eq!(row.insert(&*id, cell.into()), old.map(Cell::from));
            }
            if cell % 5 == 0 {
                row.share(&mut shapes);
                clones.push((row.clone(), model.clone()));
            }
            clones.push((row.clone(), model.clone()));
            for (row, model) in &clones {
                let cells: Vec<_> = row.iter().map(|(id, cell)| (id.to_string(), cell.clone())).collect();
                let expected: Vec<_> = model.iter().map(|(id, cell)| (id.clone(), Cell::from(*cell))).collect();
                prop_assert_eq!(cells, expected);
                prop_assert_eq!(row.len(), model.len());
            }
            clones.pop();
            let turned: Row = model.iter().rev().map(|(id, cell)| (&**id, Cell::from(*cell))).collect();
            prop_assert_eq!(&turned, &row);
            for n in 0..40 {
                let id = format!("c{n}");
                let expected = model.iter().find(|(known, _)| *known == id).map(|(_, cell)| Cell::from(*cell));
                prop_assert_eq!(row.get(&id), expected.as_ref());
            }
        }
    }
}

#[test]
fn rows_of_one_kind_share_their_shape() {
    let mut shapes = Shapes::default();
    let mut rows: Vec<Row> = (0..3).map(|n| [("a", n.into()), ("b", Cell::Null)].into_iter().collect()).collect();
    rows.iter_mut().for_each(|row| row.share(&mut shapes));
    let shape = |row: &Row| Arc::as_ptr(row.narrow().unwrap().0);
    assert!(rows.iter().all(|row| shape(row) == shape(&rows[0])));
    let mut other: Row = [("b", Cell::Null), ("a", Cell::Null)].into_iter().collect();
    other.share(&mut shapes);
    assert_ne!(shape(&other), shape(&rows[0]));
}

#[test]
fn a_table_of_very_many_kinds_of_rows_remembers_a_few() {
    let mut shapes = Shapes::default();
    for n in 0..1000 {
        let mut row: Row = [(format!("c{n}"), Cell::Null)].into_iter().collect();
        row.share(&mut shapes);
    }
    assert_eq!(shapes.known.len(), shape::KNOWN);
}
