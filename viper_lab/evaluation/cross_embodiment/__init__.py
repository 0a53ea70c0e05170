"""One video model of several arms at many tasks, judged at pairs of arm and task that it has never seen.

After "Cross-Embodiment Generalization" in Escontrela et al. 2023: the model is told the task, and sees the arm.
`study` does all of it: `pairs` says which pairs, `fitting` records and fits, `scoring` and `rollouts` ask the models,
`measures` and `results` turn answers into numbers, `figures` and `page` show them.
"""
