"""`collections.Counter`, whose counts programs take the size of a vocabulary from."""


class Counter(dict):
    def __init__(self, items=None, **counts):
        super().__init__()
        self.update(items, **counts)

    def __missing__(self, key):
        return 0

    def update(self, items=None, **counts):
        if isinstance(items, dict):
            for key, count in items.items():
                self[key] = self[key] + count
        elif items is not None:
            for key in items:
                self[key] = self[key] + 1
        for key, count in counts.items():
            self[key] = self[key] + count

    def most_common(self, n=None):
        ordered = sorted(self.items(), key=lambda item: item[1], reverse=True)
        return ordered if n is None else ordered[:n]

    def elements(self):
        return [key for key, count in self.items() for _ in range(count)]

    def total(self):
        return sum(self.values())
