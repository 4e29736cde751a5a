"""Find the original of a model among all models of some folders: the nearest, and whether it is a merge of several.

A few rows of every weight are compared. Those of a candidate are kept in an index, so that the next search reads none
of its files; torch is loaded where rows are read, and so not for a search that the index answers.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.analysis.candidates import (
    Candidate,
    Merge,
    OriginalSearch,
    SearchProgress,
    Skipped,
    SkipReason,
)
from engine.analysis.known_candidates import (
    KnownCandidate,
    Sampled,
    Values,
    alike,
    fields_of,
    known_of,
    sampled_of,
    words_of,
)
from engine.analysis.merge_fit import MOST, copies, fit_by_steps, fit_merge, products, refined, steps_of
from engine.analysis.sample_choice import Rows, SampleChoice, form_of
from engine.cancel import CancelToken
from engine.checkpoints import Checkpoint
from engine.checkpoints.collection import FoundModel, Trouble, UnusablePlace, models_under
from engine.checkpoints.opening import open_checkpoint
from engine.errors import Cancelled, EngineError, ErrorCode
from engine.models.pairing import PairedWeight, Pairing, pair
from engine.planning.inspection import open_model, readable
from engine.steps import ThreadWork, stoppable
from engine.store.samples import SampleIndex

if TYPE_CHECKING:
    from engine.analysis.sampled_rows import ReadRows

_FAR = 0.5  # relative change of a layer from which it is another one
_ROUNDING = 0.3  # relative distance up to which a rounding alone may be the reason
_NOISE = 1.1  # times the energy of its own rounding, that a quantised candidate may differ by without any change
_LEAST_NOISE = 0.4  # the same, that it differs by at least where it is the model rounded
_MOST_NOISE = 10.0  # likewise at most, whatever an encoder clips
_LEAST_MATCHED = 0.5  # of the compared parameters: a candidate with fewer is another model
_NOT_MATCHING = (ErrorCode.NO_COMMON_WEIGHTS, ErrorCode.NO_USABLE_WEIGHTS)
_TROUBLES = {Trouble.LINK_LOOP: SkipReason.LINK_LOOP, Trouble.DEAD_LINK: SkipReason.DEAD_LINK}


def find_original(
    model: Path, folders: Sequence[Path], index: SampleIndex, cancel: CancelToken
) -> Generator[SearchProgress | OriginalSearch, None, None]:
    """Compare a model with every model in some folders and below them.

    Args:
        model: the fine-tuned one: a file, or the folder of one.
        folders: to look through; a file among them is a candidate, too.
        index: of the samples of earlier searches.
        cancel: stops it.

    Yields:
        How far it is, and in the end what was found.

    Raises:
        EngineError: the model itself, or none of the folders, can be read.
        Cancelled: on request; what was sampled so far is in the index.
    """
    with open_model(model) as checkpoint:
        search = _Search(checkpoint, index, cancel)
        there = [folder for folder in folders if search.is_there(folder)]
        if not there:
            raise next(item.error for item in search.skipped if item.error is not None)
        places: list[FoundModel | UnusablePlace] = []
        for place in models_under(there, lambda folder: cancel.check()):
            cancel.check()
            places.append(place)
            yield SearchProgress(0, None, place.path)
        try:
            for done, place in enumerate(places):
                yield SearchProgress(done, len(places), place.path)
                cancel.check()
                search.look_at(place)
        finally:
            search.keep()
        yield search.found()


class _Search:
    """One search; the candidates are looked at one after the other.

    Attributes:
        skipped: places that are no candidates, so far.
    """

    def __init__(self, model: Checkpoint, index: SampleIndex, cancel: CancelToken) -> None:
        self._model, self._index, self._cancel = model, index, cancel
        configs = {path.parent / "config.json" for path in model.paths}
        files = (*model.paths, *sorted(path for path in configs if path.is_file()))
        self._me = FoundModel(model.path, files)
        self._state, self._identity = self._me.state(), self._me.identity()
        self._choice = SampleChoice.of(model)
        self._own_key = f"model\n{self._choice.key}\n{model.path.absolute()}"
        kept = index.load(self._own_key, self._state)
        self._own = Sampled() if kept is None else sampled_of(kept.fields, kept.arrays)
        self._runs: dict[Rows, Values] = {rows: self._own.values[at] for rows, at in self._own.places.items()}
        self._noise: dict[Rows, float] = dict(self._own.energies)
        self._candidates: list[KnownCandidate] = []
        self.skipped: list[Skipped] = []
        self._from_index = 0

    def is_there(self, folder: Path) -> bool:
        """Whether a folder can be looked through; one that is not is skipped by its name."""
        try:
            folder.stat()
        except FileNotFoundError:
            self._skip(folder, SkipReason.ERROR, EngineError(ErrorCode.FILE_MISSING, file=folder))
        except OSError as error:
            self._skip(folder, SkipReason.ERROR, _unreadable(folder, error))
        else:
            return True
        return False

    def look_at(self, place: FoundModel | UnusablePlace) -> None:
        """Sample a candidate, or take its sample out of the index."""
        if isinstance(place, UnusablePlace):
            self._skip(place.path, _TROUBLES.get(place.trouble, SkipReason.ERROR), _error_of(place))
            return
        try:
            if place.identity() == self._identity:
                self._skip(place.path, SkipReason.SAME_FILE)
                return
            with stoppable(ThreadWork(lambda: self._cancel.cancelled)):
                self._compare(place, place.state())
        except OSError as error:
            self._skip(place.path, SkipReason.ERROR, _unreadable(place.path, error))
        except EngineError as error:
            self._skip(place.path, SkipReason.ERROR, error)
        except Cancelled:
            raise
        except Exception as error:  # one odd file among a hundred must not cost the answer
            detail = f"{type(error).__name__}: {error}"
            self._skip(place.path, SkipReason.ERROR, EngineError(ErrorCode.INTERNAL, file=place.path, detail=detail))

    def keep(self) -> None:
        """Put the model's own sample into the index, and keep that within its bounds."""
        if len(self._runs) > len(self._own.rows):
            rows = tuple(self._runs)
            noise = tuple(self._noise[run] for run in rows)
            own = Sampled(rows, np.concatenate([self._runs[run] for run in rows]), noise)
            self._index.save(self._own_key, self._state, {"rows": words_of(own)}, {"values": own.values})
        self._index.make_room()

    def found(self) -> OriginalSearch:
        """What there is to say of all candidates together."""
        known = sorted(self._candidates, key=lambda one: (one.distance, str(one.found.path)))
        if known and known[0].matched_share < 1:
            fuller = max(known[1 : 1 + MOST], key=lambda one: one.matched_share, default=known[0])
            if fuller.matched_share > known[0].matched_share and alike(known[0].sampled, fuller.sampled):
                known.remove(fuller)  # the same model with more of it, such as a layer of another shape elsewhere
                known.insert(0, fuller)
        candidates = [
            Candidate(
                one.found.path,
                one.distance,
                one.matched,
                one.matched_share,
                one.changed_share,
                one.encoding,
                one.quantised and _is_noise(one.squared, sum(one.sampled.noise)),
            )
            for one in known
        ]
        merge = self._merge(known, candidates)
        return OriginalSearch(self._model.path, tuple(candidates), tuple(self.skipped), merge, self._from_index)

    def _skip(self, path: Path, reason: SkipReason, error: EngineError | None = None) -> None:
        self.skipped.append(Skipped(path, reason, error))

    def _compare(self, place: FoundModel, state: list[list[object]]) -> None:
        key = f"candidate\n{self._choice.key}\n{place.path.absolute()}"
        if self._recall(place, key, state):
            self._from_index += 1
            return
        with readable(open_checkpoint(place.path)) as candidate:
            pairing = self._pair(candidate)
            weights = [] if pairing is None else self._choice.weights_of(pairing)
            share = sum(weight.numel for weight in weights) / max(1, self._choice.numel)
            if pairing is None or share < _LEAST_MATCHED:
                self._index.save(key, state, {}, {})
                self._skip(place.path, SkipReason.OTHER_MODEL)
                return
            sample = self._sample(place, candidate, pairing, share)
            self._index.save(key, state, fields_of(sample), {"values": sample.sampled.values})
            known = self._measured(sample)
            itself: SkipReason | None = SkipReason.NON_FINITE if known is None else None
            if known is not None and self._suspicious(known):
                itself, distance = self._closer_look(candidate, pairing, known.distance)
                words = {"itself": itself.value if itself else "", "distance": distance}
                self._index.save(self._verdict_key(place), [self._state, state], words, {})
                known = replace(known, distance=distance)
            self._take(known or sample, itself)

    def _recall(self, place: FoundModel, key: str, state: list[list[object]]) -> bool:
        """Take a candidate as an earlier search found it; False where its files have to be looked at."""
        kept = self._index.load(key, state)
        if kept is None:
            return False
        if "rows" not in kept.fields:
            self._skip(place.path, SkipReason.OTHER_MODEL)
            return True
        sample = known_of(place, kept.fields, kept.arrays)
        if not all(rows in self._runs for rows in sample.sampled.rows):
            return False
        known = self._measured(sample)
        if known is None:
            self._skip(place.path, SkipReason.NON_FINITE)
            return True
        verdict = self._verdict(place, state) if self._suspicious(known) else (None, known.distance)
        if verdict is None:
            return False
        self._take(replace(known, distance=verdict[1]), verdict[0])
        return True

    def _pair(self, candidate: Checkpoint) -> Pairing | None:
        """Both models matched; None where nothing of them does."""
        try:
            return pair(self._model, candidate)
        except EngineError as error:
            if error.code not in _NOT_MATCHING:
                raise
            return None

    def _take(self, known: KnownCandidate, itself: SkipReason | None) -> None:
        if itself is None:
            self._candidates.append(known)
        else:
            self._skip(known.found.path, itself)

    def _sample(self, place: FoundModel, candidate: Checkpoint, pairing: Pairing, share: float) -> KnownCandidate:
        """Read the sampled rows of a candidate, and of the model where they were not read yet."""
        from engine.analysis.sampled_rows import place_of, read_bytes, read_rows, title_of

        chosen = self._choice.rows_of(pairing, read_bytes)
        own: dict[Rows, ReadRows] = {}
        for weight, rows in sorted(chosen, key=lambda item: place_of(item[0].finetuned)):
            if rows not in self._runs:
                own[rows] = read = read_rows(self._model, weight.finetuned, rows)
                self._runs[rows] = read.values().numpy().copy()
                self._noise[rows] = read.rounding_energy()
        values: dict[Rows, Values] = {}
        noise: dict[Rows, float] = {}
        for weight, rows in sorted(chosen, key=lambda item: place_of(item[0].original)):
            read = read_rows(candidate, weight.original, rows)
            values[rows], noise[rows] = read.values().numpy().copy(), read.rounding_energy()
        order = tuple(rows for _, rows in chosen)
        sampled = Sampled(order, np.concatenate([values[rows] for rows in order]), tuple(noise[rows] for rows in order))
        views = [weight.original for weight, _ in chosen]
        bits = 8 * sum(view.stored_bytes for view in views) / sum(math.prod(view.shape) for view in views)
        return KnownCandidate(
            place,
            sampled,
            len(self._choice.weights_of(pairing)),
            share,
            title_of(views),
            tuple(sorted({form_of(view) for view in views})),
            bits < 12,
        )

    def _measured(self, known: KnownCandidate) -> KnownCandidate | None:
        """A candidate with its distance from the model; None where most of its numbers are not finite."""
        rows = known.sampled.rows
        theirs = known.sampled.values.astype(np.float64)
        ours = self._own_values(rows).astype(np.float64)
        starts = np.concatenate([[0], np.cumsum([run.count for run in rows])[:-1]]).astype(np.int64)
        with np.errstate(invalid="ignore", over="ignore"):
            apart, size = (np.add.reduceat(part**2, starts) for part in (ours - theirs, theirs))
        usable = np.isfinite(apart) & np.isfinite(size)
        if 2 * usable.sum() < len(rows):
            return None
        if not usable.all():
            kept = tuple(run for run, good in zip(rows, usable, strict=True) if good)
            sampled = Sampled(kept, known.sampled.take(kept), tuple(known.sampled.energies[run] for run in kept))
            known, apart, size = replace(known, sampled=sampled), apart[usable], size[usable]
        change = apart - np.minimum(known.sampled.noise, size / 2)  # not what a coarse encoding adds by itself
        far = change > _FAR**2 * np.where(size > 0, size, np.inf)
        distance = math.sqrt(apart.sum() / size.sum()) if size.sum() > 0 else (0.0 if not apart.sum() else math.inf)
        if not math.isfinite(distance):
            return None
        return replace(known, distance=distance, squared=float(apart.sum()), changed_share=float(far.mean()))

    def _own_values(self, rows: Sequence[Rows]) -> Values:
        if tuple(rows) == self._own.rows:
            return self._own.values
        return np.concatenate([self._runs[run] for run in rows])

    def _suspicious(self, known: KnownCandidate) -> bool:
        """Whether a candidate may be the model itself, stored otherwise.

        One of the two may be the other one rounded: then they differ by as much as that does. Where they differ by
        less, the model was made from the candidate's own numbers, as by an adapter that was merged into them.
        """
        if known.distance == 0:
            return True
        if known.distance >= _ROUNDING or known.forms == self._choice.forms:
            return False
        fine, coarse = sorted((sum(known.sampled.noise), sum(self._noise[run] for run in known.sampled.rows)))
        return known.squared <= 2 * fine or _LEAST_NOISE * coarse <= known.squared <= _MOST_NOISE * coarse

    def _verdict_key(self, place: FoundModel) -> str:
        return f"verdict\n{self._own_key}\n{place.path.absolute()}"

    def _verdict(self, place: FoundModel, state: list[list[object]]) -> tuple[SkipReason | None, float] | None:
        """What an earlier closer look at a candidate gave; None where there was none."""
        kept = self._index.load(self._verdict_key(place), [self._state, state])
        if kept is None:
            return None
        text = kept.fields["itself"]
        return SkipReason(text) if text else None, float(kept.fields["distance"])

    def _closer_look(self, candidate: Checkpoint, pairing: Pairing, distance: float) -> tuple[SkipReason | None, float]:
        """Whether a candidate is the model itself: the same bytes, the same numbers, or what they round to.

        Where all sampled numbers are equal, some of every weight of all parts are compared.

        Returns:
            Which of them, and the distance, measured again where numbers differ that were not sampled.
        """
        from engine.analysis.sampled_rows import differs, place_of

        same_size = candidate.size_bytes == self._model.size_bytes
        if distance == 0 and same_size and candidate.fingerprint() == self._model.fingerprint():
            return SkipReason.SAME_BYTES, 0.0
        weights = self._choice.all_rows(pairing) if distance == 0 else self._choice.rows_of(pairing, None)
        rounded = False
        for weight, rows in sorted(weights, key=lambda item: place_of(item[0].original)):
            self._cancel.check()
            changed, really = differs((self._model, candidate), weight, rows)
            if really:
                return None, self._distance(candidate, weights) if distance == 0 else distance
            rounded = rounded or changed
        return (SkipReason.ROUNDED_COPY if rounded else SkipReason.SAME_NUMBERS), distance

    def _distance(self, candidate: Checkpoint, weights: Sequence[tuple[PairedWeight, Rows]]) -> float:
        """The relative distance over some rows, read anew."""
        from engine.analysis.sampled_rows import read_rows

        apart = size = 0.0
        for weight, rows in weights:
            self._cancel.check()
            ours = read_rows(self._model, weight.finetuned, rows).values().double()
            theirs = read_rows(candidate, weight.original, rows).values().double()
            apart, size = apart + float((ours - theirs).square().sum()), size + float(theirs.square().sum())
        return math.sqrt(apart / size) if size else 0.0

    def _merge(self, known: Sequence[KnownCandidate], candidates: list[Candidate]) -> Merge | None:
        """Say of the related candidates which are copies of others, and of a merge the coefficients."""
        related = [at for at, one in enumerate(candidates) if not one.unrelated][: 2 * MOST]
        if len(related) < 2:
            return None
        common = set(known[related[0]].sampled.rows)
        least, kept = len(common) / 2, []
        for at in related:
            both = common & set(known[at].sampled.rows)
            if len(both) >= least:
                common = both
                kept.append(at)
        rows = tuple(run for run in known[related[0]].sampled.rows if run in common)
        starts = [0, *np.cumsum([run.count for run in rows])[:-1].tolist()]
        theirs = np.stack([known[at].sampled.take(rows) for at in kept]).astype(np.float64)
        ours = self._own_values(rows).astype(np.float64)
        grams = products(ours, theirs, starts)
        noise = [sum(known[at].sampled.energies[run] for run in rows) for at in kept]
        finest = copies(grams, noise, [known[at].forms for at in kept])
        groups: dict[int, list[int]] = {}
        for at, other in enumerate(finest):
            groups.setdefault(at if other is None else other, []).append(at)
        for members in groups.values():
            for at in members[1:]:
                candidates[kept[at]] = replace(candidates[kept[at]], copy_of=candidates[kept[members[0]]].path)
        chosen = [at for at in range(len(kept)) if finest[at] is None][:MOST]
        quantised = [noise[at] if known[kept[at]].quantised else 0.0 for at in chosen]
        own_noise = sum(self._noise[run] for run in rows)
        steps = self._steps(ours)
        if steps is None or any(quantised):
            fit = fit_merge(grams[np.ix_(range(len(grams)), chosen, chosen)], quantised, len(ours), own_noise)
        else:
            fit = fit_by_steps(ours, theirs[chosen], steps, starts)
        if fit is None or not fit.is_merge:
            return None
        if steps is not None and not any(quantised[member] for member in fit.members):
            members = [chosen[member] for member in fit.members]
            fit = refined(fit, ours, theirs[members], steps, starts)
        for at, one in enumerate(candidates):
            candidates[at] = replace(one, coefficient=0.0)
        for member, bounds in fit.doubtful.items():
            at = kept[chosen[member]]
            candidates[at] = replace(candidates[at], interval=bounds)
        for member, value, bounds in zip(fit.members, fit.coefficients, fit.intervals, strict=True):
            at = kept[chosen[member]]
            candidates[at] = replace(candidates[at], coefficient=value, interval=bounds)
        return Merge(fit.explained)

    def _steps(self, values: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """The steps of the model's own numbers; None where it does not store plain floats of one dtype."""
        if len(self._choice.forms) != 1:
            return None
        return steps_of(values, self._choice.forms[0].rpartition("/")[2])


def _is_noise(squared: float, noise: float) -> bool:
    """Whether a difference is as large as rounding alone makes it."""
    return _LEAST_NOISE * noise <= squared <= _NOISE * noise


def _unreadable(path: Path, error: OSError) -> EngineError:
    return EngineError(ErrorCode.FILE_UNREADABLE, file=path, reason=error.strerror or str(error))


def _error_of(place: UnusablePlace) -> EngineError | None:
    if place.trouble in _TROUBLES:
        return None
    return EngineError(ErrorCode.FILE_UNREADABLE, file=place.path, reason=place.detail)
