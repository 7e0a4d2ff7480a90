use roommate::Store;

struct Pet {
    name: String,
}

fn main() {
    Store::new().table_of::<Pet>("pets");
}
