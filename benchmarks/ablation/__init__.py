"""What does each part of `mobile`'s keypoint branch add? Many short trainings on features of a frozen model.

`features` runs the frozen part once and keeps what the branch pools, `heads` trains and evaluates branches on it,
`variants` lists what is varied, `__main__` runs them and keeps the results.
"""
