use roommate::{Row, Store};

#[derive(Row)]
struct Pet {
    legs: u8,
}

#[derive(Row)]
struct Person {
    name: String,
}

fn main() {
    let pets = Store::new().table_of::<Pet>("pets");
    let _ = pets.cell("fido", Person::NAME);
    let _ = pets.set_cell("fido", Pet::LEGS, "four");
}
