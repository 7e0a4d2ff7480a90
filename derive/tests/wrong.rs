//! Wrong use of the macros does not compile, and says why.

#[test]
fn wrong_use_is_a_compile_error_that_says_why() {
    trybuild::TestCases::new().compile_fail("tests/wrong/*.rs");
}
