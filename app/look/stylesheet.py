"""The Qt style sheet that turns Fusion into our look; made from the colour tokens and the system's font."""

from __future__ import annotations

from string import Template

from PySide6.QtGui import QFont

from app.look.icons import icon_file
from app.look.tokens import Tokens

SMALL = 0.92
LARGE = 1.15


def stylesheet(tokens: Tokens, font: QFont) -> str:
    """Style sheet for one theme at one font size."""
    points = font.pointSizeF() if font.pointSizeF() > 0 else 9.0
    values = {
        **tokens.colours(),
        "small": f"{points * SMALL:.2f}pt",
        "normal": f"{points:.2f}pt",
        "large": f"{points * LARGE:.2f}pt",
        "chevron": icon_file(tokens.name, "chevron-down"),
        "check": icon_file(tokens.name, "check"),
    }
    return _TEMPLATE.substitute(values)


_TEMPLATE = Template(
    """
QMainWindow, QDialog, QMessageBox { background: $background; }
QToolTip { background: $control; color: $text; border: 1px solid $border; padding: 4px; }

QFrame[panel="plain"] { background: $panel; border: 1px solid $border; border-radius: 10px; }
QFrame[panel="plain"][dropping="true"] { border: 1px solid $accent; background: $accent_background; }
QFrame[panel="plain"][trouble="true"] { border: 1px solid $bad; }
QFrame[panel="plain"][caution="true"] { border: 2px solid $warning; }
QFrame[panel="accent"] { background: $accent_background; border: 1px solid $accent_background; border-radius: 10px; }
QFrame[panel="bar"] { background: $panel; border: none; border-top: 1px solid $border; }
QWidget[surface="clear"], QScrollArea[surface="clear"] { background: transparent; border: none; }

QLabel[role="title"] { font-weight: 600; }
QLabel[role="name"] { font-size: $large; font-weight: 600; }
QLabel[role="name-empty"] { font-size: $large; color: $muted; }
QLabel[role="on-accent"] { font-size: $small; color: $text; }
QLabel[role="muted"] { color: $muted; }
QLabel[role="small"] { color: $muted; font-size: $small; }
QLabel[role="caption"] { color: $muted; font-size: $small; }
QLabel[role="legend"] { color: $muted; font-size: $small; }
QLabel[tone="bad"] { color: $bad_text; }
QLabel[tone="warning"] { color: $warning_text; }
QLabel[tone="good"] { color: $good_text; }
QLabel[role="stop"] { color: $muted; font-size: $small; }
QLabel[role="stop"][active="true"] { color: $text; font-weight: 600; }
QLabel[role="key"] { background: $control; border: 1px solid $border; border-radius: 4px; padding: 2px 6px; }

QMenuBar { background: $background; border-bottom: 1px solid $border; padding: 2px 8px; }
QMenuBar::item { padding: 5px 10px; border-radius: 6px; color: $text; background: transparent; }
QMenuBar::item:selected { background: $control; }
QMenu { background: $panel; border: 1px solid $border; padding: 6px; }
QMenu::item { padding: 6px 28px 6px 12px; border-radius: 5px; color: $text; }
QMenu::item:selected { background: $accent_background; }
QMenu::item:disabled { color: $muted; }
QMenu::separator { height: 1px; background: $border; margin: 6px 4px; }
QMenu::indicator { width: 14px; height: 14px; left: 6px; }
QMenu::indicator:checked { image: url($check); background: $accent; border-radius: 4px; }
QMenu::item:checked, QMenu::item:unchecked { padding-left: 28px; }

QPushButton { background: $control; color: $text; border: 1px solid $border; border-radius: 7px;
    padding: 6px 14px; }
QPushButton:hover { border-color: $muted; }
QPushButton:pressed { background: $border; }
QPushButton:focus { border-color: $accent; }
QPushButton:disabled { color: $muted; background: $panel; border-color: $border; }
QPushButton::menu-indicator { image: none; width: 0; }
QPushButton[kind="quiet"] { background: $panel; }
QPushButton[compact="true"] { padding: 3px 10px; font-size: $small; }
QPushButton[kind="primary"] { background: $accent; color: $on_accent; border: 1px solid $accent; font-weight: 600; }
QPushButton[kind="primary"]:hover { border-color: $text; }
QPushButton[kind="primary"]:focus { border: 2px solid $text; padding: 5px 13px; }
QPushButton[kind="primary"]:disabled { background: $control; color: $muted; border-color: $border; }
QToolButton { background: transparent; border: 1px solid transparent; border-radius: 7px; padding: 3px; color: $text; }
QToolButton:hover { background: $control; }
QToolButton:focus { border-color: $accent; }
QToolButton::menu-indicator { image: none; }
QPushButton[kind="link"], QPushButton[kind="plain-link"] { background: transparent; border: none;
    border-bottom: 1px solid transparent; border-radius: 0; padding: 1px 0; font-size: $small; color: $accent; }
QPushButton[kind="link"]:hover, QPushButton[kind="link"]:checked { border-bottom-color: $accent; }
QPushButton[kind="link"]:focus { border-bottom: 2px solid $accent; padding-bottom: 0; }
QPushButton[kind="link"]:disabled { color: $muted; }
QPushButton[kind="plain-link"] { color: $text; border-bottom-color: $text; }
QPushButton[kind="plain-link"]:focus { border-bottom: 2px solid $text; padding-bottom: 0; }
QToolButton[kind="round"] { background: $panel; border: 1px solid $border; border-radius: 16px; }
QToolButton[kind="round"]:hover { border-color: $muted; }
QToolButton[kind="round"]:focus { border-color: $accent; }

QComboBox, QLineEdit, QAbstractSpinBox { background: $control; color: $text; border: 1px solid $control;
    border-radius: 7px; padding: 4px 8px; selection-background-color: $accent; selection-color: $on_accent; }
QLineEdit { placeholder-text-color: $muted; }
QLineEdit[narrow="true"] { padding: 4px 3px; }
QComboBox { border-color: $border; padding-left: 10px; }
QComboBox:hover, QLineEdit:hover, QAbstractSpinBox:hover { border-color: $muted; }
QComboBox:focus, QLineEdit:focus, QAbstractSpinBox:focus { border-color: $accent; }
QComboBox:disabled, QLineEdit:disabled, QAbstractSpinBox:disabled { color: $muted; background: $panel;
    border-color: $border; }
QLineEdit[trouble="true"], QComboBox[trouble="true"] { border-color: $bad; }
QAbstractSpinBox { padding: 4px 6px; }
QAbstractSpinBox QLineEdit { background: transparent; border: none; padding: 0; }
QSpinBox::up-button, QSpinBox::down-button, QDoubleSpinBox::up-button, QDoubleSpinBox::down-button {
    subcontrol-origin: border; width: 0; }
QComboBox::drop-down { border: none; width: 22px; }
QComboBox::down-arrow { image: url($chevron); width: 10px; height: 10px; }
QComboBox QLineEdit { border: none; padding: 0; background: transparent; }
QComboBox QAbstractItemView { background: $panel; color: $text; border: 1px solid $border; outline: none; padding: 4px;
    selection-background-color: $accent_background; selection-color: $text; }
QComboBox QAbstractItemView::item { min-height: 24px; padding: 2px 6px; border-radius: 5px; }
QLineEdit[role="find"] { background: $panel; border-color: $border; }

QCheckBox { spacing: 8px; color: $text; padding: 2px 2px 2px 0; border: 1px solid transparent; border-radius: 5px; }
QCheckBox:focus { border-color: $accent; }
QCheckBox:disabled { color: $muted; }
QCheckBox::indicator { width: 15px; height: 15px; border: 1px solid $muted; border-radius: 4px; background: $control; }
QCheckBox::indicator:hover { border-color: $accent; }
QCheckBox::indicator:checked { background: $accent; border-color: $accent; image: url($check); }
QCheckBox::indicator:disabled { border-color: $border; }
QCheckBox::indicator:checked:disabled { background: $muted; border-color: $muted; }

QTabWidget::pane { border: none; top: 8px; }
QTabWidget::tab-bar { left: 0; }
QTabBar { background: transparent; qproperty-drawBase: 0; }
QTabBar::tab { background: transparent; color: $muted; border: 1px solid transparent; border-radius: 7px;
    padding: 6px 12px; margin-right: 4px; }
QTabBar::tab:hover { color: $text; }
QTabBar::tab:selected { background: $panel; color: $text; border-color: $border; font-weight: 600; }
QTabBar::tab:focus { border-color: $accent; }

QTableView { background: $panel; border: none; color: $text; outline: none; gridline-color: $border;
    selection-background-color: $accent_background; selection-color: $text; }
QTableView::item { border: none; border-top: 1px solid $border; padding: 0 8px; }
QTableView::item:selected { background: $accent_background; color: $text; }
QTreeView[rows="roomy"] { background: $panel; border: none; border-radius: 7px; color: $text; outline: none;
    selection-background-color: $accent_background; selection-color: $text; }
QTreeView[rows="roomy"]::item { border: none; min-height: 26px; padding: 0 6px; }
QTreeView[rows="roomy"]::item:hover { background: transparent; }
QTreeView[rows="roomy"]::item:selected { background: $accent_background; color: $text; }
QHeaderView { background: $panel; border: none; }
QHeaderView::section { background: $panel; color: $muted; border: none; padding: 4px 11px; }
QHeaderView::section:hover { color: $text; }
QTableCornerButton::section { background: $panel; border: none; }

QPlainTextEdit { background: $panel; color: $text; border: none; selection-background-color: $accent;
    selection-color: $on_accent; }
QPlainTextEdit[framed="true"], QTextEdit { background: $panel; border: 1px solid $border; border-radius: 7px; }

QProgressBar { background: $border; border: none; border-radius: 3px; max-height: 6px; min-height: 6px; }
QProgressBar::chunk { background: $accent; border-radius: 3px; }

QScrollBar:vertical { background: transparent; width: 10px; margin: 0; }
QScrollArea[surface="clear"] > QWidget > QScrollBar:vertical { width: 14px; padding-left: 4px; }
QScrollBar:horizontal { background: transparent; height: 10px; margin: 0; }
QScrollBar::handle { background: $border; border-radius: 3px; margin: 2px; }
QScrollBar::handle:vertical { min-height: 28px; }
QScrollBar::handle:horizontal { min-width: 28px; }
QScrollBar::handle:hover { background: $muted; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }
"""
)
