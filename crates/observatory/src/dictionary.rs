//! The dictionary of credential checks and its recipes, as the settings name them.

use std::path::Path;

use kenshin_survey::credential::{Dictionary, Recipes};
use kenshin_survey::plan::{DictionaryRef, FileRef};

use crate::authority::read_limited;
use crate::error::ActError;
use crate::home::Home;
use crate::settings::Settings;

impl Settings {
    /// Reads the dictionary that the settings name, with its recipes; `None` when they name none. What is
    /// wrong with either file is told with its name and line.
    pub fn read_dictionary(&self, home: &Home) -> Result<Option<Dictionary>, ActError> {
        read(home, self.dictionary.as_deref(), self.recipes.as_deref())
    }

    /// The same by digest, for a plan.
    pub(crate) fn dictionary_ref(&self, home: &Home) -> Result<Option<DictionaryRef>, ActError> {
        let (Some(path), Some(dictionary)) = (&self.dictionary, self.read_dictionary(home)?) else {
            return Ok(None);
        };
        let file =
            |path: &Path, sha256: &str| FileRef { path: home.resolve(path), sha256: sha256.to_owned() };
        let recipes = self.recipes.as_ref().map(|path| file(path, dictionary.recipes().sha256()));
        Ok(Some(DictionaryRef { pairs: file(path, dictionary.sha256()), recipes }))
    }
}

/// Reads a dictionary and its recipes.
pub(crate) fn read(
    home: &Home,
    dictionary: Option<&Path>,
    recipes: Option<&Path>,
) -> Result<Option<Dictionary>, ActError> {
    let recipes = match recipes.map(|path| home.resolve(path)) {
        Some(path) => Recipes::parse(&read_limited(&path)?).map_err(|error| wrong(&path, &error))?,
        None => Recipes::default(),
    };
    let Some(path) = dictionary.map(|path| home.resolve(path)) else { return Ok(None) };
    let dictionary = Dictionary::parse(&read_limited(&path)?).map_err(|error| wrong(&path, &error))?;
    Ok(Some(dictionary.with_recipes(recipes)))
}

fn wrong(path: &Path, error: &dyn std::error::Error) -> ActError {
    ActError::input(format!("`{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIRS: &str = "[[entries]]\nuser = \"a\"\npassword = \"b\"\n";
    const RECIPES: &str = "[[streams]]\nsays = [\"Hoshi\"]\npath = \"/live\"\n";

    #[test]
    fn a_plan_names_dictionary_and_recipes_by_digest_and_mistakes_by_file_and_line() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let mut settings = Settings::new("x");
        assert_eq!(settings.dictionary_ref(&home).unwrap(), None);
        settings.dictionary = Some("pairs.toml".into());
        write("pairs.toml", PAIRS);
        let alone = settings.dictionary_ref(&home).unwrap().unwrap();
        assert_eq!((alone.pairs.path.ends_with("pairs.toml"), alone.recipes.is_none()), (true, true));
        // As plans of yesterday have it.
        let json = serde_json::json!({ "path": alone.pairs.path, "sha256": alone.pairs.sha256 });
        assert_eq!(serde_json::to_value(&alone).unwrap(), json);
        settings.recipes = Some("recipes.toml".into());
        write("recipes.toml", RECIPES);
        let both = settings.dictionary_ref(&home).unwrap().unwrap();
        assert_eq!(both.pairs, alone.pairs);
        assert_eq!(both.recipes.unwrap().sha256, Recipes::parse(RECIPES).unwrap().sha256());
        write("recipes.toml", &RECIPES.replace("path", "paht"));
        let error = settings.read_dictionary(&home).unwrap_err().to_string();
        assert!(
            error.contains("recipes.toml`: line 3: unknown field `paht`") && error.contains("hint:"),
            "{error}"
        );
    }
}
