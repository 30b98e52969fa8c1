"""Rules of accounts without hands: what names, figures and passwords may be, and how failures slow down."""
