"""The tab that judges a LoRA: in words, by block and kind, by spectrum, and what another rank would give."""

from __future__ import annotations

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.look.theme import Theme
from app.text.outputs import output_kind
from app.widgets.change_map.panel import ChangeMap
from app.widgets.layers.layer_choice import LayerChoice
from app.widgets.layers.layer_model import LayerModel
from app.widgets.result.explore_panel import ExplorePanel
from app.widgets.result.files_panel import FilesPanel
from app.widgets.result.quality_panel import QualityPanel
from app.widgets.spectrum.panel import SpectrumPanel
from engine.analysis.exploration import Exploration
from engine.analysis.knee import find_knee
from engine.analysis.quality import judge
from engine.models.layer_blocks import block_of
from engine.planning.plan import Plan
from engine.results import ExtractionResult
from engine.settings import ExtractionSettings

GAP = 10


class ResultTab(QWidget):
    """Fills while a run goes on; its words and the ranks to try come with the run's end.

    Attributes:
        quality, files, changes, spectrum, explore: its parts.
    """

    def __init__(self, theme: Theme, model: LayerModel, choice: LayerChoice) -> None:
        super().__init__()
        self._choice = choice
        self.quality = QualityPanel()
        self.files = FilesPanel()
        self.changes = ChangeMap(theme, model, choice)
        self.spectrum = SpectrumPanel(theme, model, choice)
        self.explore = ExplorePanel(theme)
        below = QHBoxLayout()
        below.setSpacing(GAP)
        below.addWidget(self.spectrum, 5)
        below.addWidget(self.explore, 4)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GAP)
        column.addWidget(self.quality)
        column.addWidget(self.files)
        column.addWidget(self.changes, 4)
        column.addLayout(below, 5)
        self.quality.layer_clicked.connect(self._choose)
        self.quality.try_rank.connect(self.explore.show_rank)

    def start(self, plan: Plan) -> None:
        """A run begins: its layers' places are known, and nothing else."""
        self._choice.clear()
        self.quality.clear()
        self.files.clear()
        self.changes.expect((weight.name, block_of(weight.name)) for weight in plan.layers)
        self.explore.set_running(True)

    def show_result(self, plan: Plan, result: ExtractionResult, *, available: bool) -> None:
        """The run has written its file.

        Args:
            plan: of the run.
            result: of the run.
            available: its decomposition was kept, so that the models are not needed for a smaller rank.
        """
        self.files.show_files(result.outputs)
        self.show_file(plan.settings, result, available=available)

    def show_file(self, settings: ExtractionSettings, result: ExtractionResult, *, available: bool) -> None:
        """Speak of the first file of a result.

        Args:
            settings: of that file.
            result: of the run, as that file has it.
            available: its decomposition was kept.
        """
        first = result.outputs[0]
        exploration = Exploration.of_result(settings, result, earlier=self.explore.exploration)
        self.explore.show_exploration(exploration, available=available)
        name = output_kind(first) if self.files.lists(first.path) else ""
        self.quality.show_quality(judge(settings, result, exploration), name, find_knee(exploration))
        self.files.mark_shown(first.path)
        if not self._choice.names and result.rows:
            self._choice.choose([max(result.rows, key=lambda row: row.delta_energy).name])

    def end_run(self) -> None:
        """The run is over, however it ended."""
        self.explore.set_running(False)

    def leave_models(self) -> None:
        """Other models were chosen: what is known of the last ones cannot be written from these."""
        self.explore.clear()

    @Slot(str)
    def _choose(self, name: str) -> None:
        self._choice.choose([name])
