use roommate::Row;

struct Chip(u64);

#[derive(Row)]
struct Pet {
    #[row(json)]
    chip: Chip,
}

fn main() {}
