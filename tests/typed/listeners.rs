//! Listeners that are told of structs.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use roommate::{ANY, Error, ErrorKind, Subscription, TypedTable};

use super::{LEAST, Pet, fido, pets};

type Heard = Arc<Mutex<Vec<(String, Option<u8>, Option<u8>)>>>;

/// Notes the legs of old and new.
fn hear(pets: &TypedTable<Pet>, row_id: Option<&str>) -> (Heard, Subscription) {
    let heard = Heard::default();
    let notes = Arc::clone(&heard);
    let listener = pets.add_row_listener(row_id.map_or(ANY, Into::into), move |event| {
        let legs = |pet: Result<Option<Pet>, Error>| pet.unwrap().map(|pet| pet.legs);
        notes.lock().unwrap().push((event.row_id.to_string(), legs(event.old_row()), legs(event.new_row())));
    });
    (heard, listener)
}

#[test]
fn a_listener_is_told_of_old_and_new() {
    let (_store, pets) = pets(&format!(r#"{{"felix":{LEAST}}}"#));
    let (all, listener) = hear(&pets, None);
    let (one, _listener) = hear(&pets, Some("fido"));
    pets.set("fido", &fido()).unwrap();
    pets.update("fido", |pet| pet.legs = 3).unwrap();
    pets.set("felix", &fido()).unwrap();
    pets.del("fido").unwrap();
    let fidos = [("fido".into(), None, Some(4)), ("fido".into(), Some(4), Some(3)), ("fido".into(), Some(3), None)];
    assert_eq!(*one.lock().unwrap(), fidos);
    let [came, changed, went] = fidos;
    assert_eq!(*all.lock().unwrap(), [came, changed, ("felix".into(), Some(4), Some(4)), went]);
    drop(listener);
    pets.set("fido", &fido()).unwrap();
    assert_eq!(all.lock().unwrap().len(), 4);
}

#[test]
fn cells_that_the_struct_does_not_know_are_not_told_but_the_coming_of_a_row_is() {
    let (store, pets) = pets(&format!(r#"{{"felix":{LEAST}}}"#));
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let _listener = pets.add_row_listener(ANY, move |event| {
        assert_eq!(event.new_row().unwrap_err().kind(), ErrorKind::Invalid, "a pet needs a name");
        assert!(event.old_row().unwrap().is_none());
        count.fetch_add(1, Ordering::SeqCst);
    });
    store.set_cell("pets", "felix", "unknown", 1).unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    store.set_cell("pets", "nobody", "unknown", 1).unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn what_listeners_write_meanwhile_is_not_in_what_the_transaction_left() {
    let (store, pets) = pets(&format!(r#"{{"felix":{LEAST}}}"#));
    let table = pets.clone();
    // Told first: exact ids come before wildcards.
    let _first = pets.add_row_listener("felix", move |event| {
        if event.new_row().unwrap().is_some_and(|pet| pet.legs == 3) {
            table.update("felix", |pet| pet.legs = 2).unwrap();
            table.set_cell("felix", Pet::NAME, "Changed".into()).unwrap();
            assert_eq!(event.new_row().unwrap().unwrap().name, "Felix");
            let inside = event.store.transaction(|store| {
                store.del_row("pets", "felix")?;
                let (old, new) = (event.old_row()?.unwrap(), event.new_row()?.unwrap());
                assert_eq!((&*old.name, old.legs, &*new.name, new.legs), ("Felix", 4, "Felix", 3));
                Err::<(), _>(Error::new(ErrorKind::Callback, "not after all"))
            });
            assert!(inside.is_err());
        }
    });
    let (heard, _listener) = hear(&pets, None);
    pets.update("felix", |pet| pet.legs = 3).unwrap();
    let expected = [("felix".into(), Some(4), Some(3)), ("felix".into(), Some(3), Some(2))];
    assert_eq!(*heard.lock().unwrap(), expected);
    assert_eq!(store.cell("pets", "felix", "legs"), Some(2.into()));
}
