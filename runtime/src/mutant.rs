//! Defences that can be left out, one by one, in a build that is made only to test the tests (`make mutants`): a test
//! that has never failed proves nothing. Nothing of this is ever in a release, and no code may depend on it.

/// True when the defence of that name is to be left out. In every build but that one it is `false` and costs nothing.
#[cfg(mutants)]
macro_rules! mutant {
    ($name:literal) => {
        crate::mutant::chosen($name)
    };
}

#[cfg(not(mutants))]
macro_rules! mutant {
    ($name:literal) => {
        false
    };
}

#[cfg(all(mutants, not(debug_assertions)))]
compile_error!("a build with mutants is for tests alone: never an optimised one");

/// `PINNACE_MUTANT` names those that are chosen, with commas between them.
#[cfg(mutants)]
pub(crate) fn chosen(name: &str) -> bool {
    std::env::var("PINNACE_MUTANT").is_ok_and(|chosen| chosen.split(',').any(|word| word == name))
}
