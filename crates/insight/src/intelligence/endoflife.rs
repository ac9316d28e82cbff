//! Release cycles from endoflife.date: product files (Markdown with front matter), the answers of
//! its API in version 1, and the older lists of cycles.

use std::io::{BufRead, Read};

use serde_json::Value as Json;

use super::front_matter::{Node, Value, front_matter};
use super::importer::io;
use super::{EndOfLife, Ending, ImportError, Importer, IntelligenceKind, Release};

/// The whole list is below 8 MiB.
const FILE_MAX: u64 = 32 << 20;

pub(super) fn read(importer: &mut Importer, file: &str, from: impl BufRead) -> Result<(), ImportError> {
    let mut bytes = Vec::new();
    from.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(io(file))?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(not_endoflife(file, "it is larger than any published one"));
    }
    let text = String::from_utf8_lossy(&bytes);
    match text.trim_start_matches('\u{feff}').trim_start().bytes().next() {
        Some(b'{' | b'[') => read_json(importer, file, &text),
        Some(b'-') => {
            read_markdown(importer, file, &text);
            Ok(())
        }
        _ => Err(not_endoflife(file, "it begins neither with `---` nor as JSON")),
    }
}

fn read_markdown(importer: &mut Importer, file: &str, text: &str) {
    let node = match front_matter(text) {
        Ok(node) => node,
        Err(problem) => return importer.reject(file, problem.line, problem.reason),
    };
    let text = |key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
    let slug = |text: &str| text.trim_start_matches('/').to_owned();
    let (Some(title), Some(name)) = (text("title"), text("permalink").map(|link| slug(&link))) else {
        return importer.reject(file, 1, "the product has no `title` or no `permalink`");
    };
    let list = |key: &str| node.get(key).map(Node::items).unwrap_or_default();
    let mut releases = Vec::new();
    for release in list("releases") {
        match markdown_release(release) {
            Ok(release) => releases.push(release),
            Err(reason) => importer.reject(file, release.line, reason),
        }
    }
    if releases.is_empty() {
        return importer.reject(file, 1, "the product has no `releases`");
    }
    importer.endoflife.push(EndOfLife {
        name,
        title,
        category: text("category").unwrap_or_default(),
        aliases: list("alternate_urls").iter().filter_map(Node::text).map(slug).collect(),
        cpes: list("identifiers").iter().filter_map(|id| id.get("cpe")?.text()).map(str::to_owned).collect(),
        releases,
    });
}

fn markdown_release(node: &Node) -> Result<Release, String> {
    let text = |key: &str| node.get(key).and_then(Node::text);
    let ending = |key: &str| match node.get(key).map(|node| &node.value) {
        None | Some(Value::Nothing) => Ok(None),
        Some(Value::Text(text)) => ending(key, text).map(Some),
        Some(_) => Err(format!("`{key}` is neither a day nor true or false")),
    };
    Ok(Release {
        cycle: text("releaseCycle").ok_or("the release has no `releaseCycle`")?.to_owned(),
        label: text("releaseLabel").map(str::to_owned),
        eol: ending("eol")?,
        extended: ending("eoes")?,
        latest: text("latest").map(str::to_owned),
    })
}

fn ending(key: &str, text: &str) -> Result<Ending, String> {
    match text {
        "true" => Ok(Ending::Known(true)),
        "false" => Ok(Ending::Known(false)),
        _ => text.parse().map(Ending::On).map_err(|error| format!("`{key}`: {error}")),
    }
}

fn read_json(importer: &mut Importer, file: &str, text: &str) -> Result<(), ImportError> {
    let json: Json = match serde_json::from_str(text) {
        Ok(json) => json,
        Err(error) => {
            importer.reject_json(file, 1, &error);
            return Ok(());
        }
    };
    match (json.get("result"), json.as_array()) {
        (Some(Json::Array(products)), _) => {
            if let Some(day) = json.get("generated_at").and_then(Json::as_str).and_then(|time| time.get(..10))
            {
                importer.newer_version(day.to_owned());
            }
            for (position, product) in products.iter().enumerate() {
                json_product(importer, file, &format!("product {}", position + 1), product);
            }
            Ok(())
        }
        (Some(product @ Json::Object(_)), _) => {
            json_product(importer, file, "the product", product);
            Ok(())
        }
        (_, Some(cycles)) => {
            // The older lists name no product: the file does.
            let stem = file.rsplit(['/', '\\']).next().unwrap_or(file).trim_end_matches(".json").to_owned();
            let releases = json_releases(importer, file, &stem, cycles, "cycle");
            if releases.is_empty() {
                return Err(not_endoflife(file, "it is a list without release cycles"));
            }
            let (category, title) = (String::new(), stem.clone());
            importer.endoflife.push(EndOfLife {
                name: stem,
                title,
                category,
                aliases: vec![],
                cpes: vec![],
                releases,
            });
            Ok(())
        }
        _ => Err(not_endoflife(file, "it has neither `result` nor a list of cycles")),
    }
}

fn json_product(importer: &mut Importer, file: &str, place: &str, product: &Json) {
    let text = |key: &str| product.get(key).and_then(Json::as_str).map(str::to_owned);
    let list = |key: &str| product.get(key).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    let Some(name) = text("name") else {
        return importer.reject(file, 1, format!("{place} has no `name`"));
    };
    let releases = json_releases(importer, file, &name, list("releases"), "name");
    if releases.is_empty() {
        return importer.reject(file, 1, format!("{place}, `{name}`, has no `releases`"));
    }
    let is_cpe = |id: &&Json| id.get("type").and_then(Json::as_str) == Some("cpe");
    importer.endoflife.push(EndOfLife {
        title: text("label").unwrap_or_else(|| name.clone()),
        category: text("category").unwrap_or_default(),
        aliases: list("aliases").iter().filter_map(Json::as_str).map(str::to_owned).collect(),
        cpes: list("identifiers")
            .iter()
            .filter(is_cpe)
            .filter_map(|id| id.get("id")?.as_str())
            .map(str::to_owned)
            .collect(),
        name,
        releases,
    });
}

fn json_releases(
    importer: &mut Importer,
    file: &str,
    product: &str,
    list: &[Json],
    cycle: &str,
) -> Vec<Release> {
    let mut releases = Vec::new();
    for (position, release) in list.iter().enumerate() {
        match json_release(release, cycle) {
            Ok(release) => releases.push(release),
            Err(reason) => {
                importer.reject(file, 1, format!("release {} of `{product}`: {reason}", position + 1))
            }
        }
    }
    releases
}

fn json_release(release: &Json, cycle: &str) -> Result<Release, String> {
    let either = |day: &str, known: &str| -> Result<Option<Ending>, String> {
        for key in [day, known] {
            match release.get(key) {
                None | Some(Json::Null) => {}
                Some(Json::Bool(known)) => return Ok(Some(Ending::Known(*known))),
                Some(Json::String(text)) => return ending(key, text).map(Some),
                Some(_) => return Err(format!("`{key}` is neither a day nor true or false")),
            }
        }
        Ok(None)
    };
    let name = match release.get(cycle) {
        Some(Json::String(name)) => name.clone(),
        Some(Json::Number(number)) => number.to_string(),
        _ => return Err(format!("it has no `{cycle}`")),
    };
    let old = cycle == "cycle";
    let latest = release.get("latest");
    Ok(Release {
        label: release.get("label").and_then(Json::as_str).filter(|label| *label != name).map(str::to_owned),
        eol: if old { either("eol", "eol")? } else { either("eolFrom", "isEol")? },
        // `isEoes` says whether extended support has ended, not whether it is offered.
        extended: if old {
            either("extendedSupport", "extendedSupport")?
        } else {
            either("eoesFrom", "eoesFrom")?
        },
        latest: latest
            .and_then(|latest| latest.as_str().or_else(|| latest.get("name")?.as_str()))
            .map(str::to_owned),
        cycle: name,
    })
}

fn not_endoflife(file: &str, problem: &str) -> ImportError {
    ImportError::Kind {
        file: file.to_owned(),
        kind: IntelligenceKind::EndOfLife,
        problem: problem.to_owned(),
        hint: "use products/*.md of endoflife.date or the JSON of its API",
    }
}
