import tkinter as tk

tk.Tk()
