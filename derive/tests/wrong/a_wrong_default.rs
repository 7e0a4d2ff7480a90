use roommate::Row;

enum Species {
    Dog,
}

#[derive(Row)]
struct Pet {
    #[row(default = true)]
    legs: u8,
    #[row(default = "four")]
    weight: f64,
    #[row(skip)]
    species: Species,
}

fn main() {}
