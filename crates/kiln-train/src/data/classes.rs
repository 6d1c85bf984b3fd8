//! Classes in the order of a model, which may be another than that of the data.

use super::{Dataset, Splits, Targets};

impl Splits {
    /// Does something with each part.
    pub fn for_each(&mut self, change: &mut dyn FnMut(&mut Dataset)) {
        change(&mut self.train);
        self.validation.iter_mut().chain(self.test.iter_mut()).for_each(change);
    }
}

impl Dataset {
    /// Gives class `n` the number `places[n]`, in a list of classes with these names.
    pub fn renumber(&mut self, places: &[usize], all: &[String]) {
        if let Targets::Classes { labels, names, .. } = &mut self.targets {
            for label in labels {
                let place = usize::try_from(*label).ok().and_then(|label| places.get(label));
                // What is no class of the data does not count, and stays what it is.
                if let Some(place) = place.and_then(|place| i32::try_from(*place).ok()) {
                    *label = place;
                }
            }
            *names = all.to_vec();
        }
    }

    /// Calls the classes otherwise, without changing their numbers.
    pub fn rename(&mut self, all: &[String]) {
        if let Targets::Classes { names, .. } = &mut self.targets {
            *names = all.to_vec();
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::data::{Dataset, Samples, Targets};

    #[test]
    fn labels_follow_their_names() {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut source = "x,class\n".to_owned();
        for name in ["owl", "cat", "owl"] {
            source += &format!("1,{name}\n");
        }
        let folder = std::env::temp_dir().join(format!("kiln-classes-{}", std::process::id()));
        std::fs::write(&folder, source).expect("a file");
        let splits = crate::data::Source::Csv(folder.clone()).load(&Default::default()).expect("a table");
        std::fs::remove_file(folder).expect("a file");
        let mut data: Dataset = splits.train;
        assert!(matches!(data.samples, Samples::Floats(_)));
        data.renumber(&[0, 2], &list(&["cat", "dog", "owl"]));
        let Targets::Classes { labels, names, .. } = &data.targets else { panic!("classes") };
        assert_eq!((&labels[..], names), (&[2, 0, 2][..], &list(&["cat", "dog", "owl"])));
    }
}
