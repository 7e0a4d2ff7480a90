use roommate::Row;

#[derive(Row)]
#[row(rename = "animal")]
struct Pet {
    name: String,
}

fn main() {}
