"""Runs as pages that open in any browser: one alone, or two side by side."""

from refmg_validation.html_report.compare_page import compare_page
from refmg_validation.html_report.report_page import report_page

__all__ = ["compare_page", "report_page"]
